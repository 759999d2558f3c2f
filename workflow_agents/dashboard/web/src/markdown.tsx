/** Text of models with its headings, lists, code and emphasis. Links and pictures stay as they are
 * written: nothing that a model says becomes an address that is asked for, or markup. */
import type { ComponentChild } from "preact";

const SPANS = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*)/g;

function inline(text: string): ComponentChild[] {
  const found: ComponentChild[] = [];
  let at = 0;
  for (const match of text.matchAll(SPANS)) {
    if (match.index > at) found.push(text.slice(at, match.index));
    const [whole, code, bold] = match;
    found.push(code ? <code>{whole.slice(1, -1)}</code> : bold ? <b>{whole.slice(2, -2)}</b> : <i>{whole.slice(1, -1)}</i>);
    at = match.index + whole.length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

const HEADING = /^(#{1,6}) +(.*)$/;
const ITEM = /^\s*(?:[-*+]|(\d+)[.)]) +(.*)$/;
const FENCE = /^\s*(```|~~~)/;

export function Markdown({ text }: { text: string }) {
  const lines = text.split("\n");
  const parts: ComponentChild[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at]!;
    const fence = FENCE.exec(line)?.[1];
    const heading = HEADING.exec(line);
    if (fence) {
      const end = lines.findIndex((one, i) => i > at && one.trim().startsWith(fence));
      const last = end < 0 ? lines.length : end;
      parts.push(<pre tabIndex={0} aria-label="Code">{lines.slice(at + 1, last).join("\n")}</pre>);
      at = last + 1;
    } else if (heading) {
      parts.push(<p class={`heading h${heading[1]!.length}`}>{inline(heading[2]!)}</p>);
      at++;
    } else if (ITEM.test(line)) {
      const items: ComponentChild[] = [];
      const first = ITEM.exec(line)![1];
      while (at < lines.length && ITEM.test(lines[at]!)) items.push(<li>{inline(ITEM.exec(lines[at++]!)![2]!)}</li>);
      parts.push(first ? <ol start={Number(first)}>{items}</ol> : <ul>{items}</ul>);
    } else {
      const from = at;
      while (at < lines.length && lines[at]!.trim() && !FENCE.test(lines[at]!) && !HEADING.test(lines[at]!) && !ITEM.test(lines[at]!)) at++;
      if (at > from) parts.push(<p>{inline(lines.slice(from, at).join("\n"))}</p>);
      else at++;
    }
  }
  return <div class="text marked">{parts}</div>;
}
