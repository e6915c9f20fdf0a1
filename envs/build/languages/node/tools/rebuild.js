// Build the native modules below the node_modules of the directories that are given, as their packages' install scripts say.
// What only downloads, or serves the packages' authors, is left out. Prints one line for each that could not be built.
'use strict';
var fs = require('fs');
var path = require('path');
var spawn = require('child_process').spawnSync;
var SKIP = /^(husky|core-js.*|puppeteer.*|playwright.*|cypress|electron|chromedriver|geckodriver|phantomjs.*|selenium.*|nodemon|opencollective.*|@sentry\/cli|lefthook|simple-git-hooks|pre-commit|ghooks|yorkie|es5-ext|styled-components|protobufjs|msw|@scarf\/scarf|workerd|nx|dprint|ngrok|@ngneat\/.*|vue-demi|less|iltorb-.*|fsevents|postinstall-postinstall|@apollo\/protobufjs|@nestjs\/core|gatsby.*|ejs|bootstrap|@fortawesome\/.*|semantic-ui.*|parcel|level|ursa-.*|detox|react-native|realm|appium.*)$/;
var NEEDED = /^(esbuild|@swc\/core|@parcel\/watcher|sharp|unrs-resolver|vue-demi|deasync|bun|@biomejs\/biome|oxc-.*|rollup)$/;
var found = {};
var seen = {};

function look(directory, depth) {
  var real;
  try { real = fs.realpathSync(directory); } catch (error) { return; }
  if (seen[real] || depth > 12) return;
  seen[real] = true;
  var names;
  try { names = fs.readdirSync(directory); } catch (error) { return; }
  names.forEach(function (name) {
    var below = path.join(directory, name);
    if (name === '.pnpm' || name === '.store') {
      fs.readdirSync(below).forEach(function (one) { look(path.join(below, one, 'node_modules'), depth + 1); });
    } else if (name[0] === '@') look(below, depth);
    else if (name[0] !== '.') read(below, depth);
  });
}

function read(home, depth) {
  var manifest, real;
  try {
    if (fs.lstatSync(home).isSymbolicLink()) return;
    real = fs.realpathSync(home);
    manifest = JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8'));
  } catch (error) { return; }
  var scripts = manifest.scripts || {};
  var native = fs.existsSync(path.join(home, 'binding.gyp')) && manifest.gypfile !== false;
  if (native || scripts.install || scripts.preinstall || scripts.postinstall) {
    if (typeof manifest.name === 'string' && (native || NEEDED.test(manifest.name) || !SKIP.test(manifest.name))) {
      found[real] = { name: manifest.name, scripts: scripts, native: native };
    }
  }
  look(path.join(home, 'node_modules'), depth + 1);
}

process.argv.slice(2).forEach(function (directory) { look(path.join(directory, 'node_modules'), 0); });
var npm = process.env.PODGYM_NPM || '';
Object.keys(found).forEach(function (home) {
  var one = found[home];
  var lines = ['preinstall', 'install', 'postinstall'].filter(function (name) { return one.scripts[name]; }).map(function (name) {
    return one.scripts[name];
  });
  if (one.native && !one.scripts.install && !one.scripts.preinstall) lines.unshift('node-gyp rebuild');
  var bins = [path.join(home, 'node_modules', '.bin'), path.join(home, '..', '.bin'), path.join(home, '..', '..', '.bin'), npm];
  var env = Object.assign({}, process.env, {
    PATH: bins.concat(process.env.PATH).join(':'), INIT_CWD: process.cwd(), npm_package_name: one.name, npm_lifecycle_event: 'install'
  });
  var broken = lines.some(function (line) {
    var done = spawn('sh', ['-c', line], { cwd: home, env: env, stdio: ['ignore', 2, 2], timeout: 600000 });
    return done.status !== 0;
  });
  if (broken) console.log('its install script failed: ' + one.name);
});
