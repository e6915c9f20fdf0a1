// Run a program with the globs after its words expanded, for one that expands none itself:
// node glob.js PROGRAM [ARGUMENT...] -- PATTERN...; a pattern that nothing matches stays as it is.
'use strict';
var fs = require('fs');
var path = require('path');
var spawn = require('child_process').spawnSync;
var at = process.argv.lastIndexOf('--');
var command = process.argv.slice(2, at), patterns = process.argv.slice(at + 1);
var LIMIT = 100000, all = null;

function walk(directory, found) {
  fs.readdirSync(directory || '.', { withFileTypes: true }).forEach(function (entry) {
    var name = directory ? directory + '/' + entry.name : entry.name;
    if (entry.name === 'node_modules' || entry.name === '.git' || found.length > LIMIT) return;
    if (entry.isDirectory()) walk(name, found);
    else found.push(name);
  });
  return found;
}

function expression(pattern) {
  var text = '', depth = 0;
  for (var index = 0; index < pattern.length; index++) {
    var one = pattern[index], rest = pattern.slice(index);
    var extended = /^([@+?*!])\(([^()]*)\)/.exec(rest), set = /^\[([^\]/]+)\]/.exec(rest);
    if (rest.indexOf('**/') === 0) { text += '(?:[^/]+/)*'; index += 2; }
    else if (rest.indexOf('**') === 0) { text += '.*'; index += 1; }
    else if (extended && extended[1] !== '!') {
      var inner = extended[2].split('|').map(expression).join('|');
      text += '(?:' + inner + ')' + { '@': '', '+': '+', '?': '?', '*': '*' }[extended[1]];
      index += extended[0].length - 1;
    } else if (set) { text += '[' + set[1].replace(/^!/, '^') + ']'; index += set[0].length - 1; }
    else if (one === '*') text += '[^/]*';
    else if (one === '?') text += '[^/]';
    else if (one === '{') { text += '(?:'; depth += 1; }
    else if (one === '}' && depth) { text += ')'; depth -= 1; }
    else if (one === ',' && depth) text += '|';
    else text += one.replace(/[.+^$()|\\[\]{}]/, '\\$&');
  }
  return text;
}

var words = [];
patterns.forEach(function (pattern) {
  if (!/[*?{[]/.test(pattern)) { words.push(pattern); return; }
  all = all || walk('', []);
  var plain = path.posix.normalize(pattern).replace(/^\.\//, ''), top = process.cwd() + '/';
  if (plain.indexOf(top) === 0) plain = plain.slice(top.length);
  var match = new RegExp('^' + expression(plain) + '$');
  var found = all.filter(function (name) { return match.test(name); }).sort();
  words = words.concat(found.length ? found : [pattern]);
});
var done = spawn(command[0], command.slice(1).concat(words), { stdio: 'inherit' });
if (done.error) console.error(String(done.error));
process.exit(done.status === null ? 1 : done.status);
