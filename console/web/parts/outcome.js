// What came of a rollout: its change, its tests, the parts of its reward.
import { html, useState } from "../lib.js";
import { number, plural } from "../format.js";
import { Diff } from "./diff.js";
import { Flag } from "./turn.js";

function Parts({ components }) {
  const rows = Object.entries(components ?? {});
  if (!rows.length) return null;
  const most = Math.max(1, ...rows.map(([, value]) => Math.abs(value)));
  return html`
    <section class="card">
      <h3>Reward parts</h3>
      <ul class="parts">
        ${rows.map(
          ([name, value]) => html`
            <li>
              <span>${name}</span>
              <span class="track"><span class=${`fill ${value < 0 ? "minus" : ""}`} style=${{ width: `${(100 * Math.abs(value)) / most}%` }}></span></span>
              <span class="num">${number(value)}</span>
            </li>
          `,
        )}
      </ul>
    </section>
  `;
}

const ORDER = { failed: 0, error: 1, missing: 2, skipped: 3, passed: 4 };
const MARKS = { passed: "✓", failed: "✗", error: "!", skipped: "–", missing: "?" };

function Tests({ tests, folded }) {
  const rows = Object.entries(tests ?? {}).sort((a, b) => (ORDER[a[1]] ?? 9) - (ORDER[b[1]] ?? 9) || a[0].localeCompare(b[0]));
  const [all, setAll] = useState(false);
  if (!rows.length) return null;
  const passed = rows.filter(([, outcome]) => outcome === "passed").length;
  const shown = all || !folded ? rows : rows.slice(0, 30);
  return html`
    <section class="card">
      <h3>Tests <small>${passed} of ${rows.length} passed</small></h3>
      <ul class="tests">
        ${shown.map(([id, outcome]) => html`<li class=${outcome}><span class="mark" aria-hidden="true">${MARKS[outcome] ?? "·"}</span><code>${id}</code><span>${outcome}</span></li>`)}
      </ul>
      ${shown.length < rows.length && html`<button class="more" onClick=${() => setAll(true)}>Show ${plural(rows.length - shown.length, "more test")}</button>`}
    </section>
  `;
}

export function Outcome({ verified, masked, retried, signals, folded }) {
  const verdict = verified?.verdict ?? {};
  const message = verdict.message || (verified?.status === "unscored" ? `Unscored: ${verified.reason}.` : "");
  const dropped = verdict.dropped ?? [];
  return html`
    <section id="outcome" class="outcome">
      <h2>Outcome</h2>
      ${retried && html`<div class="problem">This attempt ended with ${retried.error}: ${retried.message} Another one was started.</div>`}
      ${masked && html`<div class="problem">Left out of training: ${masked.reason}.</div>`}
      ${signals.map((event) => html`<${Flag} event=${event} />`)}
      ${message && html`<div class=${verified.status === "unscored" ? "problem" : "note"}>${message}</div>`}
      ${verdict.cached && html`<p class="note">The verdict is from an earlier grading of the same change.</p>`}
      <div class="columns">
        <div>
          ${verified?.diff ? html`<section class="card"><h3>Change that was graded</h3><${Diff} diff=${verified.diff} /></section>` : verified && html`<section class="card"><h3>Change that was graded</h3><p class="note">Nothing was changed.</p></section>`}
          ${dropped.length > 0 && html`<section class="card"><h3>Not graded</h3><ul class="dropped">${dropped.map(({ path, reason }) => html`<li><code>${path}</code> ${reason}</li>`)}</ul></section>`}
        </div>
        <div>
          <${Parts} components=${verdict.components} />
          <${Tests} tests=${verdict.tests} folded=${folded} />
        </div>
      </div>
    </section>
  `;
}
