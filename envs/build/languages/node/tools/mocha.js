// A reporter for every version of Mocha: its own JSON to $PODGYM_REPORT, with the file of each test and each test in one list alone,
// because titles may be whole programs.
'use strict';
var fs = require('fs');

function fileOf(test) {
  for (var one = test; one; one = one.parent) if (one.file) return one.file;
  return '';
}

function plain(test) {
  return { fullTitle: String(test.fullTitle ? test.fullTitle() : test.title), file: fileOf(test) };
}

module.exports = function Report(runner) {
  var lists = { pending: [], failures: [], passes: [] };
  var ended = [];
  var listed = new Set();
  function into(name) {
    return function (test) {
      lists[name].push(plain(test));
      listed.add(test);
    };
  }
  runner.on('test end', function (test) { ended.push(test); });
  runner.on('pass', into('passes'));
  runner.on('pending', into('pending'));
  runner.on('fail', function (test, error) {
    lists.failures.push(plain(test));
    listed.add(test);
    console.error('not ok: ' + plain(test).fullTitle + '\n' + String((error && (error.stack || error.message)) || error));
  });
  runner.once('end', function () {
    var rest = ended.filter(function (test) { return !listed.has(test); }).map(plain);
    var stats = {
      tests: ended.length, passes: lists.passes.length, pending: lists.pending.length, failures: lists.failures.length
    };
    fs.writeFileSync(process.env.PODGYM_REPORT, JSON.stringify({
      stats: stats, tests: rest, pending: lists.pending, failures: lists.failures, passes: lists.passes
    }));
  });
};
