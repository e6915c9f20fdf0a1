// Make a lock file ask the registry that npm is set to, whatever registry it was written with: `node registry.js URL FILE`.
'use strict';
var fs = require('fs');
var base = process.argv[2].replace(/\/+$/, ''), file = process.argv[3];
var text = fs.readFileSync(file, 'utf8');
// A registry serves an archive as NAME/-/FILE; what has another form is not a registry's.
var next = text.replace(/https?:\/\/[^\s"'#]+?\/((?:@[\w.~-]+(?:\/|%2f))?[\w.~-]+\/-\/[^\s"'#]+\.tgz)/gi, function (all, rest) {
  return base + '/' + rest;
});
if (next !== text) fs.writeFileSync(file, next);
