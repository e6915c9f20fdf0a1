// A run's series by step. While the run goes on only its newest steps are asked for again, and put in the place of what was known.
import { useRef } from "../lib.js";
import { get, useLoaded } from "../api.js";

// Rollouts of a step may end after later steps have begun, so the last few steps may still change.
const UNSETTLED = 10;
// Of one series; beyond that all is asked for anew, and the server thins it.
const MOST_POINTS = 4000;

const lastStep = (series) => Math.max(-1, ...Object.values(series).map((points) => points.at(-1)?.[0] ?? -1));

export function merged(before, fresh, after) {
  const found = { ...before };
  for (const [name, points] of Object.entries(before)) {
    if (points.at(-1)?.[0] > after) found[name] = points.filter(([step]) => step <= after);
  }
  for (const [name, points] of Object.entries(fresh)) found[name] = [...(found[name] ?? []), ...points];
  return found;
}

export function useMetrics(id, status, every) {
  const key = `${id} ${status}`;
  const held = useRef({ key: "", series: {}, rises: [] });
  return useLoaded(
    async (signal) => {
      const known = held.current.key === key ? held.current.series : {};
      const long = Object.values(known).some(({ length }) => length > MOST_POINTS);
      const after = long ? -1 : lastStep(known) - UNSETTLED;
      try {
        const { series, rises } = await get(`/runs/${id}/metrics`, after < 0 ? {} : { after_step: after }, signal);
        held.current = { key, rises, series: after < 0 ? series : merged(known, series, after) };
      } catch (failure) {
        if (!failure.status) throw failure;
        held.current = { key: "", series: {}, rises: [] }; // nothing has been measured
      }
      return held.current;
    },
    [id, status],
    every,
  );
}
