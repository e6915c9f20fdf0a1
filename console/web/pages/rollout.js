// One rollout, turn by turn, from its trace.
import { html, useEffect, useMemo, useState } from "../lib.js";
import { get, useLoaded } from "../api.js";
import { number, plural, reward, seconds, when } from "../format.js";
import { typing } from "../parts/keys.js";
import { Outcome } from "../parts/outcome.js";
import { Problem, Status, rewardTone, rolloutStatus } from "../parts/status.js";
import { PAGE, Pager, around, latest, pageOf, useStory } from "../parts/story.js";
import { Legend } from "../parts/tokens.js";
import { Long, Turn, byTurn } from "../parts/turn.js";
import { Waterfall } from "../parts/waterfall.js";

const DETAIL_MS = 5000;

function Facts({ created, closed, claimed, row }) {
  const facts = [
    ["task", created?.task_id],
    ["environment", created?.environment],
    ["split", created?.split],
    ["step", created?.step],
    ["attempt", created?.attempt || null],
    ["policy", created?.policy],
    ["temperature", created && number(created.temperature)],
    ["sandbox", claimed && `${claimed.provider} · ${claimed.image}`],
    ["stopped by", closed?.stop],
    ["turns", closed?.turns ?? row?.turns],
    ["sampled", closed && plural(closed.sampled_tokens, "token")],
    ["took", closed && seconds(closed.seconds)],
    ["started", created && when(created.at_s)],
  ];
  return html`
    <dl class="facts">
      ${facts.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>
  `;
}

function Group({ group, current, run }) {
  if (!group || group.length < 2) return null;
  const rows = [...group].sort((a, b) => a.index - b.index);
  return html`
    <nav class="group" aria-label="Attempts at the same task">
      <span>group</span>
      ${rows.map(
        (row) => html`
          <a
            class=${`mate ${rewardTone(row)}`}
            href=${`/runs/${run}/rollouts/${row.rollout_id}`}
            aria-current=${row.rollout_id === current ? "page" : undefined}
            title=${`${row.rollout_id} · ${row.status} · reward ${reward(row.reward)}`}
            >${row.status === "scored" ? reward(row.reward) : "–"}</a
          >
        `,
      )}
    </nav>
  `;
}

// What the trace says comes before the index, whose rows are written later and not read again at once.
function statusOf({ retried, verified, masked, closed }, detail) {
  if (retried) return "retried";
  if (verified?.status === "unscored") return "unscored";
  if (masked) return "masked";
  if (verified) return verified.status;
  if (closed) return "closed";
  return rolloutStatus(detail?.row ?? { status: "running" }, detail?.run_status ?? "unknown");
}

function brokenOff({ loaded, more, complete, damage }, detail) {
  if (damage) return `The trace is damaged: ${damage}`;
  if (!loaded || more || complete || !detail || detail.run_status === "running") return null;
  return "The trace was not closed: the process that wrote it ended early. Everything up to its last write is here.";
}

// Attempts to cheat: the index knows all of a rollout that it has, the turns on the page what was written since.
function attemptsOf(detail, story) {
  const known = (detail?.attempts ?? []).filter(({ turn, family }) => turn !== null && family !== "signal");
  const shown = story.events.filter(({ event }) => event.kind === "flagged").map(({ event }) => event);
  const found = known.length >= shown.length ? known : shown;
  return { first: found[0]?.turn, count: Math.max(found.length, detail?.row?.hacks ?? 0), worked: found.some(({ succeeded }) => succeeded) };
}

function moveStop(key) {
  const cards = [...document.querySelectorAll("[data-stop]")];
  const next = key === "j" ? cards.find((card) => card.getBoundingClientRect().top > 70) : cards.findLast((card) => card.getBoundingClientRect().top < 40);
  next?.scrollIntoView();
  next?.focus({ preventScroll: true });
}

function Outline({ turns, first, last, ended }) {
  return html`
    <nav class="outline" aria-label="Turns">
      <ol>
        <li><a href="#task">Task</a></li>
        ${first > 0 && html`<li><a href=${`#turn-${first - 1}`}>…</a></li>`}
        ${turns.map(({ turn, tools, ok, flags, worked }) => html`<li key=${turn}><a href=${`#turn-${turn}`}><span class="num">${turn}</span> ${tools.join(", ") || "…"}${ok === false && html` <i class="dot bad" title="did not succeed"></i>`}${flags > 0 && html` <span class=${`hack ${worked ? "worked" : ""}`} title="attempt to cheat">!</span>`}</a></li>`)}
        ${last >= first + PAGE && html`<li><a href=${`#turn-${first + PAGE}`}>…</a></li>`}
        ${ended && html`<li><a href="#outcome">Outcome</a></li>`}
      </ol>
    </nav>
  `;
}

export function RolloutPage({ run, rollout }) {
  const base = `/runs/${run}/rollouts/${rollout}`;
  const [over, setOver] = useState(false);
  const [first, setFirst] = useState(() => pageOf(location.hash) ?? 0);
  const { data: detail, error } = useLoaded((signal) => get(base, {}, signal), [base], over ? 0 : DETAIL_MS);
  const live = detail?.run_status === "running";
  const story = useStory(base, first, live);
  const { events, outside, last, loaded } = story;
  const [tokens, setTokens] = useState(false);
  const [folded, setFolded] = useState(true);
  const turns = useMemo(() => byTurn(events), [events]);
  const timed = useMemo(() => around(story, first), [events, outside]);
  const [created, claimed, prompt, closed, verified, masked, retried] = ["created", "claimed", "prompt", "closed", "verified", "masked", "retried"].map((kind) => latest(story, kind));
  useEffect(() => {
    if (loaded && first > Math.max(0, last)) setFirst(Math.max(0, last - (last % PAGE)));
  }, [loaded, first, last]);
  useEffect(() => setOver(Boolean(closed) || (Boolean(detail) && !live)), [closed, detail, live]);
  useEffect(() => {
    const pressed = (event) => {
      if (typing(event)) return;
      if (event.key === "t") setTokens((shown) => !shown);
      else if (event.key === "e") setFolded((shown) => !shown);
      else if (event.key === "j" || event.key === "k") moveStop(event.key);
    };
    const moved = () => setFirst((old) => pageOf(location.hash) ?? old);
    document.addEventListener("keydown", pressed);
    addEventListener("hashchange", moved);
    return () => {
      document.removeEventListener("keydown", pressed);
      removeEventListener("hashchange", moved);
    };
  }, []);
  useEffect(() => {
    if (location.hash && loaded) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }, [loaded, first]);

  const wrong = error ?? story.error;
  if (!story.key && wrong) return html`<${Problem} error=${wrong} />`;
  if (!story.key && !detail) return html`<div class="loading" aria-busy="true"></div>`;
  const ended = Boolean(verified || masked || retried);
  const ending = brokenOff(story, detail);
  const signals = outside.filter(({ event }) => event.kind === "flagged").map(({ event }) => event);
  const attempts = attemptsOf(detail, story);
  return html`
    <div class="head">
      <h1 class="id">${rollout}</h1>
      <${Status} status=${statusOf({ retried, verified, masked, closed }, detail)} />
      ${verified && html`<span class=${`reward big ${rewardTone(verified)}`}>reward ${reward(verified.reward)}</span>`}
      ${(attempts.count > 0 || signals.length > 0) &&
      html`<a class=${`hack big ${attempts.worked || signals.length ? "worked" : ""}`} href=${attempts.count ? `#turn-${attempts.first ?? 0}` : "#outcome"}>${attempts.count ? `${plural(attempts.count, "attempt")} to cheat` : plural(signals.length, "signal")}</a>`}
      <${Group} group=${detail?.group} current=${rollout} run=${run} />
      <span class="actions">
        <a href=${`/api${base}/export?format=json`} download>JSON</a>
        <a href=${`/api${base}/export?format=atif`} download>ATIF</a>
        <a href=${`/api${base}/trace`} download>trace</a>
      </span>
      <${Facts} created=${created} closed=${closed} claimed=${claimed} row=${detail?.row} />
    </div>
    ${ending && html`<div class="problem" role="alert">${ending}</div>`}
    <${Problem} error=${wrong} />
    <${Waterfall} events=${timed} />
    <div class="tools">
      <label class="switch"><input type="checkbox" checked=${tokens} onChange=${(event) => setTokens(event.target.checked)} /> tokens by probability <kbd>t</kbd></label>
      <label class="switch"><input type="checkbox" checked=${!folded} onChange=${(event) => setFolded(!event.target.checked)} /> long outputs open <kbd>e</kbd></label>
      <span class=${tokens ? "" : "hidden"}><${Legend} /></span>
    </div>
    <div class="reading">
      <${Outline} turns=${turns} first=${first} last=${last} ended=${ended} />
      <div class="story">
        <section id="task" class="card task" data-stop tabindex="-1">
          <h3>Task <small>${prompt ? plural(prompt.tokens, "token") : ""}</small></h3>
          <${Long} text=${created?.instruction || prompt?.text || ""} folded=${folded} />
          ${prompt && prompt.text !== created?.instruction && html`<details><summary>Whole prompt, as the policy saw it</summary><${Long} text=${prompt.text} folded=${folded} /></details>`}
        </section>
        <${Pager} first=${first} last=${last} />
        ${turns.map((turn) => html`<${Turn} key=${turn.turn} base=${base} turn=${turn} tokens=${tokens} folded=${folded} />`)}
        ${(!loaded || story.more) && !wrong && html`<p class="notice">Loading turns …</p>`}
        <${Pager} first=${first} last=${last} />
        ${live && !closed && html`<p class="notice live-note"><${Status} status="running" tone="live" /> This page follows the rollout.</p>`}
        ${ended && html`<div data-stop tabindex="-1"><${Outcome} verified=${verified} masked=${masked} retried=${retried} signals=${signals} folded=${folded} /></div>`}
      </div>
    </div>
  `;
}
