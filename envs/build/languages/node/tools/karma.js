// Karma's settings: those of the project ($PODGYM_KARMA), once, in a headless Chromium, with results in the shape of Jest's JSON.
'use strict';
var fs = require('fs');
var path = require('path');

function Reporter() {
  var files = {};
  this.adapters = [];
  this.onSpecComplete = function (browser, result) {
    var status = result.skipped ? 'skipped' : result.success ? 'passed' : 'failed';
    if (status === 'failed') console.error('not ok: ' + result.suite.concat(result.description).join(' > ') + '\n' + (result.log || []).join('\n'));
    (files[''] = files[''] || []).push({ ancestorTitles: result.suite, title: result.description, status: status });
  };
  this.onBrowserError = function (browser, error) {
    console.error(error);
    (files[''] = files[''] || []).push({ ancestorTitles: [], title: '(run)', status: 'failed' });
  };
  this.onBrowserLog = function (browser, log) { console.error(log); };
  this.onRunComplete = function () {
    var results = Object.keys(files).map(function (name) {
      var failed = files[name].some(function (one) { return one.status === 'failed'; });
      return { name: name, status: failed ? 'failed' : 'passed', assertionResults: files[name] };
    });
    fs.writeFileSync(process.env.PODGYM_REPORT, JSON.stringify({ testResults: results }));
  };
}

module.exports = function (config) {
  var file = path.resolve(process.env.PODGYM_KARMA || 'karma.conf.js');
  var original = require(file);
  original = original.default || original;
  var done = original(config);
  function adjust() {
    var plugins = (config.plugins || ['karma-*']).filter(function (one) { return !/launcher|coverage/.test(String(one)); });
    var home = path.join(process.cwd(), 'node_modules', 'karma-chrome-launcher');
    plugins = plugins.concat([require(home), { 'reporter:podgym': ['type', Reporter] }]);
    config.set({
      basePath: path.resolve(path.dirname(file), config.basePath || '.'),
      plugins: plugins,
      browsers: ['PodgymChromium'],
      customLaunchers: { PodgymChromium: { base: 'ChromeHeadless', flags: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] } },
      reporters: ['podgym'], singleRun: true, autoWatch: false, restartOnFileChange: false, failOnEmptyTestSuite: false
    });
  }
  return done && done.then ? done.then(adjust) : adjust();
};
