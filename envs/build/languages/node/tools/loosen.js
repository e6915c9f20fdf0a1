// Make the manifests below this directory installable from a registry alone: `node loosen.js remote|siblings DIRECTORY...` or
// `node loosen.js without DIRECTORY... -- NAME...`.
// `remote`: dependencies on git repositories, archives and missing directories are asked of the registry by the version that they
// name, or left out. `siblings`: the packages of a lerna repository become one workspace. Prints one line for each change.
'use strict';
var fs = require('fs');
var path = require('path');
var KINDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];
var mode = process.argv[2];

function load(file) {
  try { return JSON.parse(fs.readFileSync(file, 'utf8').replace(/^\ufeff/, '')); } catch (error) { return null; }
}

function remote(directory) {
  var file = path.join(directory, 'package.json'), manifest = load(file);
  if (!manifest) return;
  KINDS.forEach(function (kind) {
    var wanted = manifest[kind] || {};
    Object.keys(wanted).forEach(function (name) {
      var range = String(wanted[name]);
      var local = /^(file|link|portal):(.*)$/.exec(range);
      var far = /^(git[+:]|git@|https?:|github:|gitlab:|bitbucket:|gist:)/.test(range) || /^[\w.-]+\/[\w.-]+(#.*)?$/.test(range);
      if (local ? fs.existsSync(path.join(directory, local[2])) : !far) return;
      var version = /(?:#|@|\/|-)(?:semver:)?[v^~]?(\d+\.\d+\.\d+(?:-[\w.]+)?)/.exec(range);
      if (far && version) {
        wanted[name] = version[1].replace(/\.tgz$|\.tar\.gz$/, '');
        console.log('in place of ' + range + ': ' + name + '@' + wanted[name]);
      } else if (kind === 'dependencies' && far) {
        wanted[name] = '*';
        console.log('in place of ' + range + ': ' + name + '@*');
      } else {
        delete wanted[name];
        console.log('not installed: ' + name + '@' + range);
      }
    });
  });
  ['resolutions', 'overrides'].forEach(function (kind) {
    Object.keys(manifest[kind] || {}).forEach(function (name) {
      if (/^(git[+:]|https?:|github:|file:)/.test(String(manifest[kind][name]))) delete manifest[kind][name];
    });
  });
  fs.writeFileSync(file, JSON.stringify(manifest, null, 2));
}

function without(directory, names) {
  var changed = false;
  var file = path.join(directory, 'package.json'), manifest = load(file);
  if (!manifest) return;
  KINDS.forEach(function (kind) {
    names.forEach(function (name) {
      if (manifest[kind] && manifest[kind][name]) {
        delete manifest[kind][name];
        changed = true;
        console.log('not installed: ' + name);
      }
    });
  });
  if (changed) fs.writeFileSync(file, JSON.stringify(manifest, null, 2));
}

if (mode === 'remote') process.argv.slice(3).forEach(remote);
if (mode === 'without') {
  var end = process.argv.indexOf('--'), names = process.argv.slice(end + 1);
  process.argv.slice(3, end).forEach(function (directory) { without(directory, names); });
}
if (mode === 'siblings') {
  var root = load('package.json') || { name: 'root', version: '0.0.0', private: true };
  root.private = true;
  root.workspaces = process.argv.slice(3).filter(function (one) { return one !== '.'; });
  fs.writeFileSync('package.json', JSON.stringify(root, null, 2));
}
