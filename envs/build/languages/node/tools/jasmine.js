// A helper for every version of Jasmine: its results in the shape of Jest's JSON, to $PODGYM_REPORT.
'use strict';
var fs = require('fs');
var files = {};

function add(result, title, status) {
  var file = result.filename || '';
  (files[file] = files[file] || []).push({ ancestorTitles: [], title: title, status: status });
  if (status === 'failed') {
    console.error('not ok: ' + title);
    (result.failedExpectations || []).forEach(function (one) { console.error(one.stack || one.message); });
  }
}

jasmine.getEnv().addReporter({
  specDone: function (result) {
    add(result, result.fullName, result.status === 'passed' || result.status === 'failed' ? result.status : 'skipped');
  },
  suiteDone: function (result) {
    if (result.failedExpectations && result.failedExpectations.length) add(result, result.fullName + ' (suite)', 'failed');
  },
  jasmineDone: function (result) {
    if (result && result.failedExpectations && result.failedExpectations.length) {
      add({ failedExpectations: result.failedExpectations }, '(run)', 'failed');
    }
    var results = Object.keys(files).map(function (name) {
      var failed = files[name].some(function (one) { return one.status === 'failed'; });
      return { name: name, status: failed ? 'failed' : 'passed', assertionResults: files[name] };
    });
    fs.writeFileSync(process.env.PODGYM_REPORT, JSON.stringify({ testResults: results }));
  }
});
