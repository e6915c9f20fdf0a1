// A reporter for every version of Mocha: its own JSON, with the file of each test, to $PODGYM_REPORT.
'use strict';
var fs = require('fs');

function fileOf(test) {
  for (var one = test; one; one = one.parent) if (one.file) return one.file;
  return '';
}

function plain(test) {
  return { title: String(test.title), fullTitle: String(test.fullTitle ? test.fullTitle() : test.title), file: fileOf(test) };
}

module.exports = function Report(runner) {
  var lists = { tests: [], pending: [], failures: [], passes: [] };
  function into(name) {
    return function (test) { lists[name].push(plain(test)); };
  }
  runner.on('test end', into('tests'));
  runner.on('pass', into('passes'));
  runner.on('pending', into('pending'));
  runner.on('fail', function (test, error) {
    lists.failures.push(plain(test));
    console.error('not ok: ' + plain(test).fullTitle + '\n' + String((error && (error.stack || error.message)) || error));
  });
  runner.once('end', function () {
    var stats = {
      tests: lists.tests.length, passes: lists.passes.length, pending: lists.pending.length, failures: lists.failures.length
    };
    fs.writeFileSync(process.env.PODGYM_REPORT, JSON.stringify({
      stats: stats, tests: lists.tests, pending: lists.pending, failures: lists.failures, passes: lists.passes
    }));
  });
};
