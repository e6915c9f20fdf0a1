// One run: what it reached, its curves by step, and its rollouts.
import { html, useMemo, useState } from "../lib.js";
import { get, useLoaded } from "../api.js";
import { DASH, count, number, percent, plural, seconds, when } from "../format.js";
import { Chart } from "../parts/chart.js";
import { useMetrics } from "../parts/metrics.js";
import { Rollouts } from "../parts/rollouts.js";
import { Problem, Status } from "../parts/status.js";
import { duration } from "./runs.js";

const POLL_MS = 3000;
const CHARTS = [
  { title: "Solve rate", unit: true, format: percent, series: [["solve_rate", "training"], ["evaluation.solve_rate", "held out", true]] },
  { title: "Attempts to cheat", format: number, series: [["hack.attempts", "seen"], ["hack.succeeded", "worked"]] },
  { title: "Reward", format: number, series: [["reward", "mean"]] },
  { title: "Train–infer gap", format: number, series: [["trainer.gap_with_replay", "replay"], ["trainer.gap_without_replay", "no replay"]] },
  { title: "Turns", format: number, series: [["turns", "mean"]] },
  { title: "Tokens / s", format: number, series: [["tokens_per_s", "sampled"]] },
];
const CHARTED = new Set(CHARTS.flatMap(({ series }) => series.map(([name]) => name)));

function Tile({ label, value, note }) {
  return html`<div class="tile"><dt>${label}</dt><dd class=${value === DASH ? "none" : ""}>${value}</dd><dd class="tile-note">${note ?? ""}</dd></div>`;
}

function Tiles({ run, series, hacks }) {
  const last = (name) => series?.[name]?.at(-1)?.[1];
  const { summary, counts } = run;
  const total = counts ? Object.values(counts.statuses).reduce((sum, value) => sum + value, 0) : summary?.rollouts;
  const unscored = counts ? (counts.statuses.unscored ?? 0) : summary?.unscored;
  const before = summary?.solve_rate_before ?? series?.["evaluation.solve_rate"]?.[0]?.[1];
  const after = summary?.solve_rate_after ?? (series?.["evaluation.solve_rate"]?.length > 1 ? last("evaluation.solve_rate") : undefined);
  const shares = before !== undefined && before !== null;
  return html`
    <dl class="tiles">
      <${Tile} label="Held-out solve rate" value=${percent(after ?? before)} note=${!shares ? "not evaluated yet" : after === undefined ? "before training" : `from ${percent(before)} before training`} />
      <${Tile} label="Solve rate" value=${percent(last("solve_rate") ?? summary?.solve_rate)} note=${series?.solve_rate ? `step ${series.solve_rate.at(-1)[0]}` : ""} />
      <${Tile} label="Rollouts" value=${count(total)} note=${counts?.statuses.running ? `${count(counts.statuses.running)} ${run.status === "running" ? "running" : "never ended"}` : ""} />
      <${Tile} label="Unscored" value=${count(unscored)} note=${total ? `${percent((unscored ?? 0) / total)} of all` : ""} />
      <${Tile} label="Attempts to cheat" value=${count(hacks?.attempts)} note=${hacks?.attempts ? `${count(hacks.succeeded)} seem to have worked` : ""} />
      <${Tile} label="Tokens / s" value=${number(last("tokens_per_s"))} note=${summary?.sampled_tokens ? `${count(summary.sampled_tokens)} sampled` : ""} />
      <${Tile} label="Sandboxes / s" value=${number(last("sandboxes_per_s"))} note="" />
    </dl>
  `;
}

function Reasons({ counts }) {
  const rows = Object.entries(counts?.reasons ?? {}).sort((a, b) => b[1] - a[1]);
  if (!rows.length) return null;
  const most = rows[0][1];
  return html`
    <section class="reasons">
      <h2>Without a reward, by reason</h2>
      <ul>
        ${rows.map(
          ([reason, value]) => html`
            <li>
              <span class="reason">${reason || "no reason given"}</span>
              <span class="track"><span class="fill" style=${{ width: `${(100 * value) / most}%` }}></span></span>
              <span class="num">${count(value)}</span>
            </li>
          `,
        )}
      </ul>
    </section>
  `;
}

// Rules of the hack monitor with what they found; each leads to its rollouts.
function Hacks({ rows, rises }) {
  if (!rows.length && !rises.length) return null;
  const most = Math.max(1, ...rows.map(({ attempts }) => attempts));
  return html`
    <section class="reasons hacks">
      <h2>What the hack monitor found</h2>
      ${rises.length > 0 && html`<div class="problem">A sudden rise at ${plural(rises.length, "step")}: ${rises.slice(-8).join(", ")}. The run's log says of what.</div>`}
      <ul>
        ${rows.map(
          ({ key, title, attempts, succeeded, rollouts }) => html`
            <li title=${`in ${plural(rollouts, "rollout")}`}>
              <span class="reason">${key}<small>${title}</small></span>
              <span class="track"><span class="fill" style=${{ width: `${(100 * attempts) / most}%` }}></span><span class="fill worked" style=${{ width: `${(100 * succeeded) / most}%` }}></span></span>
              <span class="num">${count(attempts)}${succeeded > 0 && html`<small>${count(succeeded)} worked</small>`}</span>
            </li>
          `,
        )}
      </ul>
    </section>
  `;
}

function ended(run) {
  const error = run.state?.error || run.summary?.error;
  if (run.status === "crashed") return "The driver's process is gone. What it had finished is here; `podgym job resume` goes on from the last checkpoint.";
  return run.status === "failed" || error ? error || "The run failed without saying why; its log tells more." : "";
}

export function RunPage({ run: id }) {
  const { data: run, error } = useLoaded((signal) => get(`/runs/${id}`, {}, signal), [id], POLL_MS);
  const live = run?.status === "running" || run?.status === "queued";
  const { data: metrics } = useMetrics(id, run?.status, live ? POLL_MS : 0);
  const series = metrics?.series;
  const { data: found } = useLoaded(
    (signal) => get(`/runs/${id}/hacks`, { by: "rule" }, signal).catch((failure) => (failure.status ? { hacks: [] } : Promise.reject(failure))),
    [id, run?.status],
    live ? POLL_MS : 0,
  );
  const rules = found?.hacks ?? [];
  const hacks = found && rules.filter(({ family }) => family !== "signal").reduce((sum, row) => ({ attempts: sum.attempts + row.attempts, succeeded: sum.succeeded + row.succeeded }), { attempts: 0, succeeded: 0 });
  const rises = metrics?.rises ?? [];
  const [opened, setOpened] = useState(false);
  const more = useMemo(() => Object.keys(series ?? {}).filter((name) => !CHARTED.has(name)).sort(), [series]);
  if (!run) return error ? html`<${Problem} error=${error} />` : html`<div class="loading" aria-busy="true"></div>`;
  // A run that has ended without a measurement gets no empty charts; one that goes on keeps their places.
  const blank = !live && series && !Object.keys(series).length;
  return html`
    <div class="head">
      <h1>${run.state?.name || run.id}</h1>
      <${Status} status=${run.status} />
      <dl class="facts">
        <div><dt>started</dt><dd>${when(run.state?.started_s)}</dd></div>
        <div><dt>took</dt><dd>${seconds(duration(run))}</dd></div>
        <div><dt>folder</dt><dd><code>${run.path}</code></dd></div>
      </dl>
    </div>
    <${Problem} error=${error} />
    ${run.problem && html`<div class="problem">${run.problem}</div>`}
    ${ended(run) && html`<div class="problem" role="alert">${ended(run)}</div>`}
    <${Tiles} run=${run} series=${series} hacks=${hacks} />
    ${!blank &&
    html`
      <div class="charts">
        ${CHARTS.map(
          ({ title, unit, format, series: wanted }) => html`
            <${Chart}
              key=${title}
              title=${title}
              unit=${unit}
              format=${format}
              series=${wanted.map(([name, label, dots]) => ({ name, label, dots, points: series?.[name] ?? [] }))}
            />
          `,
        )}
      </div>
    `}
    ${more.length > 0 &&
    html`
      <details class="more-charts" onToggle=${(event) => setOpened(event.target.open)}>
        <summary>${plural(more.length, "more measurement")}</summary>
        ${opened && html`<${More} names=${more} series=${series} />`}
      </details>
    `}
    <${Reasons} counts=${run.counts} />
    <${Hacks} rows=${rules} rises=${rises} />
    ${run.index_error
      ? html`<div class=${run.index_missing ? "notice" : "problem"}>${run.index_missing ? "This run has recorded nothing yet." : run.index_error}</div>`
      : html`<${Rollouts} run=${id} status=${run.status} counts=${run.counts} live=${live ? POLL_MS : 0} />`}
    ${run.job && html`<details class="job"><summary>Job file</summary><pre>${run.job}</pre></details>`}
  `;
}

function More({ names, series }) {
  return html`
    <div class="charts">
      ${names.slice(0, 40).map((name) => html`<${Chart} key=${name} title=${name} format=${number} series=${[{ name, label: name, points: series[name] }]} />`)}
    </div>
  `;
}
