// Run a program whose results are what it prints, and write them to $PODGYM_REPORT in the shape of Jest's JSON.
// node printed.js tape|ava|uvu PROGRAM [ARGUMENT...]; ends with 0 exactly where the report holds no failure.
'use strict';
var fs = require('fs');
var spawn = require('child_process').spawn;
var kind = process.argv[2], command = process.argv.slice(3);
var output = [], size = 0, LIMIT = 64 << 20;

function fromTape(text) {
  // The name of a test is a comment, its assertions are the points that follow.
  var found = [], current = null, planned = -1, points = 0;
  text.split('\n').forEach(function (line) {
    var heading = /^# (.*)$/.exec(line), point = /^(not ok|ok)\b\s*\d*\s*-?\s*(.*)$/.exec(line), plan = /^1\.\.(\d+)\s*$/.exec(line);
    if (plan) planned = Number(plan[1]);
    else if (heading && planned < 0) {
      var skipped = /^SKIP /.test(heading[1]), later = /^TODO /.test(heading[1]);
      current = { title: heading[1].replace(/^(SKIP|TODO) /, ''), status: skipped ? 'skipped' : later ? 'todo' : 'passed' };
      found.push(current);
    } else if (point) {
      points += 1;
      if (!current) found.push(current = { title: '(before the first test)', status: 'passed' });
      if (point[1] === 'not ok' && !/#\s*(TODO|SKIP)/i.test(point[2])) current.status = 'failed';
    }
  });
  if (planned < 0 && current) current.status = 'failed';
  return { whole: planned >= 0 && planned === points, tests: found };
}

function fromAva(text) {
  // Points are tests; its plan leaves out files that crashed.
  var found = [], ended = false;
  text.split('\n').forEach(function (line) {
    var point = /^(not ok|ok) \d+ - (.*?)(?: # (SKIP|TODO)\b.*)?$/.exec(line);
    if (/^1\.\.\d+$/.test(line)) ended = true;
    if (!point) return;
    var status = point[3] === 'SKIP' ? 'skipped' : point[3] === 'TODO' ? 'todo' : point[1] === 'ok' ? 'passed' : 'failed';
    found.push({ title: point[2].replace(/\\#/g, '#'), status: status });
  });
  return { whole: ended, tests: found };
}

function fromUvu(text) {
  // Of each file, how many of its tests passed.
  var found = [], file = '';
  text.replace(/\u001b\[[0-9;]*m/g, '').split('\n').forEach(function (line) {
    var count = /\((\d+) \/ (\d+)\)/.exec(line), heading = /^\s*(\S+\.[cm]?[jt]sx?)(\s|$)/.exec(line);
    if (heading) file = heading[1];
    if (count) found.push({ title: file || '(file)', status: count[1] === count[2] ? 'passed' : 'failed' });
  });
  return { whole: /^\s*Total:\s+\d+/m.test(text), tests: found };
}

function finish(code) {
  var text = Buffer.concat(output).toString('utf8');
  var read = { tape: fromTape, ava: fromAva, uvu: fromUvu }[kind](text);
  var failed = function (one) { return one.status === 'failed'; };
  if ((code !== 0 || !read.whole) && !read.tests.some(failed)) {
    if (!read.tests.length) process.exit(code || 1);
    read.tests.push({ title: '(run)', status: 'failed' });
  }
  var tests = read.tests.map(function (one) { return { ancestorTitles: [], title: one.title, status: one.status }; });
  fs.writeFileSync(process.env.PODGYM_REPORT, JSON.stringify({
    testResults: [{ name: '', status: tests.some(failed) ? 'failed' : 'passed', assertionResults: tests }]
  }));
  process.exit(tests.some(failed) ? 1 : 0);
}

var child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 2] });
child.stdout.on('data', function (data) {
  process.stderr.write(data);
  size += data.length;
  if (size <= LIMIT) output.push(data);
});
child.on('error', function (error) {
  console.error(String(error));
  process.exit(127);
});
child.on('close', function (code) { finish(code === null ? 1 : code); });
