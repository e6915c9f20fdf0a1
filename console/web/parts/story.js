// What a rollout's page holds of its trace: so many turns and what happened outside of turns, however long the trace is.
import { html, useEffect, useRef, useState } from "../lib.js";
import { get } from "../api.js";

const POLL_MS = 1500;
const EVENTS = 200;
const MOST_OUTSIDE = 128;
export const PAGE = 50;

const EMPTY = { key: "", last: -1, cursor: 0, more: false, complete: false, damage: "", outside: [], events: [], error: null };

// The first turn of the page that an address such as #turn-1234 is on; undefined for other addresses.
export function pageOf(hash) {
  const turn = hash.match(/^#turn-(\d{1,15})$/)?.[1];
  return turn === undefined ? undefined : Number(turn) - (Number(turn) % PAGE);
}

// With events that were written since: of turns that are not shown only their number is kept.
function grown(story, first, { events, cursor, more, complete, damage }) {
  const turnOf = ({ event }) => event.turn ?? -1;
  const outside = events.filter((entry) => turnOf(entry) < 0);
  const shown = events.filter((entry) => turnOf(entry) >= first && turnOf(entry) < first + PAGE);
  const all = outside.length ? [...story.outside, ...outside] : story.outside;
  return {
    ...story, cursor, more, complete, damage, error: null,
    last: Math.max(story.last, ...events.map(turnOf)),
    outside: all.length > MOST_OUTSIDE ? [...all.slice(0, MOST_OUTSIDE / 4), ...all.slice(-MOST_OUTSIDE / 2)] : all,
    events: shown.length ? [...story.events, ...shown] : story.events,
  };
}

// Turns [first, first + PAGE) of the trace at `base`, followed while `live`. `loaded` says that they are those asked for.
export function useStory(base, first, live) {
  const key = `${base} ${first}`;
  const [story, setStory] = useState(EMPTY);
  const held = useRef(EMPTY);
  const following = useRef(live);
  following.current = live;
  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const keep = (next) => {
      held.current = next;
      setStory(next);
    };
    const once = async () => {
      const begun = held.current.key === key; // what is held stays when only `live` has changed
      try {
        if (!begun || !document.hidden) {
          const page = begun
            ? await get(`${base}/events`, { after: held.current.cursor, limit: EVENTS }, controller.signal)
            : await get(`${base}/turns`, { first, limit: PAGE }, controller.signal);
          if (controller.signal.aborted) return;
          keep(begun ? grown(held.current, first, page) : { ...EMPTY, ...page, key });
        }
      } catch (error) {
        if (controller.signal.aborted) return;
        keep({ ...held.current, more: false, error });
        if (error.status === 404) return;
      }
      const { more, complete, damage } = held.current;
      if (more) timer = setTimeout(once, 0);
      else if (following.current && !complete && !damage) timer = setTimeout(once, POLL_MS);
    };
    if (held.current.key !== key || !held.current.complete) once();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key, live]);
  return { ...story, loaded: story.key === key };
}

// The latest event of a kind that belongs to no turn.
export const latest = (story, kind) => story.outside.findLast(({ event }) => event.kind === kind)?.event;

// Everything whose time can be shown beside the turns on the page: how it began with the first of them, how it ended with the last.
export function around({ outside, events, last }, first) {
  const begin = events[0]?.index ?? Infinity;
  return [
    ...outside.filter(({ index }) => first === 0 && index < begin),
    ...events,
    ...outside.filter(({ index }) => last < first + PAGE && index > begin),
  ];
}

// From one page of turns to others; nothing where all are on one.
export function Pager({ first, last }) {
  if (last < PAGE) return null;
  const end = last - (last % PAGE);
  const link = (turn, name, rel) => html`<a href=${`#turn-${turn}`} rel=${rel}>${name}</a>`;
  return html`
    <nav class="pager" aria-label="Pages of turns">
      ${first > PAGE && link(0, "First")} ${first > 0 && link(first - PAGE, "Earlier", "prev")}
      <span>Turns ${first} to ${Math.min(last, first + PAGE - 1)} of ${last + 1}</span>
      ${first < end && link(first + PAGE, "Later", "next")} ${first + PAGE < end && link(end, "Last")}
    </nav>
  `;
}
