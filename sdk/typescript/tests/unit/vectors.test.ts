import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { CODES, Pattern, idOf, isRetryable, parsePosition, patternFault, token, topicFault } from "@sampan/client";

/** The repository's `spec`, from where this runs. */
const SPEC = new URL("../../../../../spec/", import.meta.url);

type Case = Record<string, any>;

function cases(name: string): Case[] {
  return JSON.parse(readFileSync(new URL(`vectors/${name}.json`, SPEC), "utf8")).cases;
}

function textOf(text: string | { repeat_text: string; times: number }): string {
  return typeof text === "string" ? text : text.repeat_text.repeat(text.times);
}

test("names are judged as the vectors say", () => {
  for (const { text, topic, pattern } of cases("names")) {
    const given = textOf(text);
    assert.equal(topicFault(given) ?? "ok", topic, given.slice(0, 80));
    assert.equal(patternFault(given) ?? "ok", pattern, given.slice(0, 80));
  }
});

test("patterns match as the vectors say", () => {
  const matching = cases("patterns").filter(({ matches }) => matches !== undefined);
  assert.ok(matching.length > 10);
  for (const { pattern, topic, matches } of matching) {
    assert.equal(new Pattern(pattern).matches(topic), matches, `${pattern} ${topic}`);
  }
});

test("ids and tokens stand for each other as the vectors say", () => {
  for (const { id, token: name } of cases("tokens")) {
    assert.equal(idOf(name) ?? null, id, name);
    if (id !== null) assert.equal(token(id), name);
  }
  assert.throws(() => token(""), { kind: "invalid", code: 103 });
});

test("positions are read as the vectors say", () => {
  for (const { text, position } of cases("positions")) {
    const found = parsePosition(textOf(text));
    assert.deepEqual(found ? [String(found.epoch), String(found.offset)] : null, position, JSON.stringify(text));
  }
});

test("the table of codes is that of the list of record", () => {
  const rows = readFileSync(new URL("codes.md", SPEC), "utf8").matchAll(/^\| (\d{3}) \| (\w+) \| (\w+) \| .* \| (.*) \|$/gm);
  const listed = [...rows].map(([, code, name, fault, text]) => [Number(code), { name, fault, text }]);
  assert.ok(listed.length > 30);
  assert.deepEqual([...CODES], listed);
  assert.deepEqual([...CODES.keys()].filter(isRetryable).length, 13);
});

test("the named events are those of the bridge's table", async () => {
  const { EVENTS } = await import(new URL("../../../dist/events.js", import.meta.url).href);
  const spec = readFileSync(new URL("bridge.md", SPEC), "utf8");
  const rows = spec.split("### Events of clients")[1]?.split("###")[0] ?? "";
  const topics = /(joins or leaves|leaves|joins|requests)(?: `([a-z_.]+?)(?:\.\{id\})?`)?/;
  const told: Record<string, unknown> = {};
  let room = "";
  for (const [, events = "", does = ""] of rows.matchAll(/^\| (`[^|]+`) \| [^|]* \| (.*) \|$/gm)) {
    const [, verb, name] = topics.exec(does) ?? [];
    room = name ?? room;
    // Several events of a row have a topic each, or share one.
    const asked = [...does.matchAll(/`([a-z_.]+)`/g)].map(([, topic = ""]) => topic);
    [...events.matchAll(/`([^`]+)`/g)].forEach(([, event = ""], at) => {
      const isLeave = verb === "leaves" || (verb === "joins or leaves" && at === 1);
      if (verb === "requests") told[event] = { ask: asked[at] ?? room };
      else if (verb !== undefined) told[event] = { [isLeave ? "leave" : "join"]: `${room}.` };
    });
  }
  const known = Object.entries<any>(EVENTS).map(([event, action]) => {
    const [verb, what] = Object.entries<any>(action)[0] ?? [];
    return [event, { [verb as string]: what.prefix ?? what }];
  });
  assert.ok(Object.keys(told).length > 10);
  assert.deepEqual(Object.fromEntries(known), told);
});
