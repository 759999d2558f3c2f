/** The steps of a run, a row each; only the rows that can be seen are drawn. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Bar } from "./api";
import { Chip } from "./parts";
import { scaleOf } from "./scale";
import { span } from "./words";

const ROW = 30;
const BEYOND = 8;
const WORDS: Record<string, string> = {
  running: "running", waiting: "waiting", held: "held back", backoff: "waiting for another try",
};

interface Props {
  bars: Bar[];
  began: number;
  ended: number;
  live: boolean;
  chosen: string | null;
  choose: (step: string) => void;
  line: boolean;
}

export function Timeline({ bars, began, ended, live, chosen, choose, line }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const scale = useMemo(() => scaleOf(bars, began, ended), [bars, began, ended]);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => entry && setHeight(entry.contentRect.height));
    watcher.observe(box.current!);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    const at = bars.findIndex((bar) => String(bar[0]) === chosen);
    const seen = box.current!;
    if (at < 0 || (at * ROW >= seen.scrollTop && (at + 1) * ROW <= seen.scrollTop + seen.clientHeight)) return;
    seen.scrollTop = at * ROW - seen.clientHeight / 2;
  }, [chosen]);

  const from = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const rows = bars.slice(from, Math.ceil((top + height) / ROW) + BEYOND);
  // Rows that leave the view become those that enter it: nothing is made anew while one scrolls.
  const slots = Math.ceil(rows.length / 64) * 64;
  const move = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -bars.length, End: bars.length }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = bars.findIndex((bar) => String(bar[0]) === chosen);
    const next = bars[Math.min(bars.length - 1, Math.max(0, at + by))];
    if (next) choose(String(next[0]));
  };
  return (
    <div class={`timeline ${line ? "" : "plain"}`}>
      <div class="rows" ref={box} onScroll={(e) => setTop(e.currentTarget.scrollTop)} tabIndex={0}
        role="listbox" aria-label="Steps" aria-activedescendant={chosen ? `step-${chosen}` : undefined} onKeyDown={move}>
        <div class="all" style={{ height: `${bars.length * ROW}px` }}>
          {line && scale.gaps.map((gap) => (
            <div key={gap.since} class={`gap ${gap.left > 0.85 ? "last" : ""}`} style={{ left: `calc(var(--names) + (100% - var(--names)) * ${gap.left})`, width: `calc((100% - var(--names)) * ${gap.width})` }}
              title={`Nothing ran for ${span(gap.until - gap.since)}`}>
              <span>{span(gap.until - gap.since)}</span>
            </div>
          ))}
          {rows.map((bar, i) => (
            <Row key={(from + i) % slots} bar={bar} top={(from + i) * ROW} at={scale.at} ended={ended}
              chosen={String(bar[0]) === chosen} choose={choose} line={line} place={from + i + 1} of={bars.length} />
          ))}
          {live && line && <div class="now" aria-hidden="true" />}
        </div>
      </div>
      <Marks bars={bars} top={top} height={height} to={(at) => box.current && (box.current.scrollTop = at * ROW - height / 2)} />
    </div>
  );
}

interface RowProps {
  bar: Bar;
  top: number;
  at: (time: number) => number;
  ended: number;
  chosen: boolean;
  choose: (step: string) => void;
  line: boolean;
  place: number;
  of: number;
}

/** Where in a long run something failed: seen without scrolling. */
function Marks({ bars, top, height, to }: { bars: Bar[]; top: number; height: number; to: (at: number) => void }) {
  const failed = useMemo(() => bars.flatMap((bar, i) => (bar[3] === "failed" || bar[3] === "backoff" ? [i] : [])), [bars]);
  const whole = bars.length * ROW;
  if (!failed.length || whole <= height) return null;
  const shown = failed.length > 200 ? failed.filter((_, i) => i % Math.ceil(failed.length / 200) === 0) : failed;
  return (
    <div class="marks" aria-hidden="true" onClick={(e) => to(Math.floor((e.offsetY / e.currentTarget.clientHeight) * bars.length))}>
      <div class="view" style={{ top: `${(100 * top) / whole}%`, height: `${(100 * height) / whole}%` }} />
      {shown.map((i) => <div key={i} class="mark" style={{ top: `${(100 * i) / bars.length}%` }} />)}
    </div>
  );
}

function Row({ bar, top, at, ended, chosen, choose, line, place, of }: RowProps) {
  const [key, name, kind, state, depth, began, over, segments, attempts] = bar;
  const took = span((over ?? ended) - began);
  const said = `${name}, ${kind}, ${WORDS[state] ?? state}, ${took}${attempts.length ? `, failed attempts: ${attempts.length}` : ""}`;
  return (
    <div class={`row ${chosen ? "chosen" : ""}`} style={{ top: `${top}px` }} role="option" id={`step-${key}`}
      aria-selected={chosen} aria-label={said} aria-posinset={place} aria-setsize={of} onClick={() => choose(String(key))}>
      <div class="name" style={{ paddingLeft: `${10 + depth * 16}px` }}>
        <Chip state={state} word="" />
        <span class="text">{name}</span>
        <span class="kind">{kind}</span>
      </div>
      {line ? (
        <div class="bars">
          {segments.map(([what, since, until], i) => {
            const left = at(since);
            return (
              <div key={i} class={`bar ${what} ${what === "running" && over !== null ? state : ""}`} title={`${WORDS[what] ?? what}: ${span((until ?? ended) - since)}`}
                style={{ left: `${left * 100}%`, width: `max(3px, ${(at(until ?? ended) - left) * 100}%)` }} />
            );
          })}
          {!segments.length && <div class={`bar running ${state}`} style={{ left: `${at(began) * 100}%`, width: "3px" }} />}
          {attempts.map((failed) => <div key={failed} class="tick" style={{ left: `${at(failed) * 100}%` }} title="A failed attempt" />)}
          <span class={`took ${at(over ?? ended) > 0.8 ? "before" : ""}`}
            style={at(over ?? ended) > 0.8 ? { right: `${(1 - at(began)) * 100}%` } : { left: `${at(over ?? ended) * 100}%` }}>{took}</span>
        </div>
      ) : (
        <div class="facts"><span>{WORDS[state] ?? state}</span><span>{attempts.length ? `${attempts.length} failed` : ""}</span><span class="number">{took}</span></div>
      )}
    </div>
  );
}
