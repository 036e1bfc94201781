import { describe, expect, it } from "vitest";
import { Problem, toProblem } from "./api/problem";
import type { Frame, Variable } from "./api/types";
import { template, templates } from "./command/templates";
import { ago, duration, energy, power, pretty } from "./format";
import { actionsByMessage, mergeFrames, payloadOf } from "./frames/log";
import { safePath } from "./pages/SignIn";
import { toSeries } from "./series";
import { connectorState, matches } from "./state";
import { parsePayload } from "./station/CommandsTab";
import { toSet } from "./station/VariablesTab";
import { session, station } from "./test/api";

describe("figures", () => {
  it.each([
    [0, "0 W"],
    [999, "999 W"],
    [1000, "1.0 kW"],
    [149_960, "150.0 kW"],
    [-3700, "-3.7 kW"],
    [2_345_000, "2.35 MW"],
  ])("%d W is %s", (watts, text) => expect(power(watts)).toBe(text));

  it.each([
    [0, "0.00 kWh"],
    [1234, "1.23 kWh"],
    [412_300, "412.3 kWh"],
    [12_345_678, "12.35 MWh"],
  ])("%d Wh is %s", (wh, text) => expect(energy(wh)).toBe(text));

  it("durations count days apart", () => {
    const from = "2026-05-04T10:00:00Z";
    expect(duration(from, Date.parse("2026-05-04T11:02:03Z"))).toBe("1:02:03");
    expect(duration(from, Date.parse("2026-05-06T10:00:59Z"))).toBe("2 d 0:00:59");
    expect(duration(from, Date.parse("2026-05-04T09:00:00Z"))).toBe("0:00:00");
  });

  it("tells how long ago", () => {
    const now = Date.parse("2026-05-04T10:00:00Z");
    expect(ago("2026-05-04T09:59:58Z", now)).toBe("now");
    expect(ago("2026-05-04T09:30:00Z", now)).toMatch(/30/);
    expect(ago("2026-05-02T09:30:00Z", now)).toMatch(/2/);
  });
});

describe("a connector's state", () => {
  const occupied = (detail: string, chargingState?: string) => {
    const evse = {
      id: 1,
      status: "Occupied",
      connectors: [{ id: 1, status: "Occupied", detail, error: null, type: "", since: null }],
      session: chargingState === undefined ? null : session("a", { chargingState }),
    };
    const connector = evse.connectors[0];
    if (!connector) throw new Error("no connector");
    return connectorState(connector, evse);
  };
  it("is told by the session first, then by the 1.6 detail, then by the status", () => {
    expect(occupied("", "Charging")).toBe("Charging");
    expect(occupied("Finishing")).toBe("Finishing");
    expect(occupied("Preparing", "EVConnected")).toBe("Preparing");
    expect(occupied("")).toBe("Occupied");
  });
});

describe("the fleet's filter", () => {
  const none = { search: "", state: "", version: "" };
  const one = station("BER-7", { vendor: "Acme", model: "Duo", protocol: "2.0.1" });
  it.each([
    [none, true],
    [{ ...none, search: "ber" }, true],
    [{ ...none, search: "acme duo" }, true],
    [{ ...none, search: "sn-ber" }, true],
    [{ ...none, search: "ham" }, false],
    [{ ...none, state: "Available" }, true],
    [{ ...none, state: "Offline" }, false],
    [{ ...none, version: "2.1" }, false],
    [{ search: "ber", state: "Available", version: "2.0.1" }, true],
  ])("%o: %s", (filter, want) => expect(matches(one, filter)).toBe(want));
});

describe("frames", () => {
  const frame = (seq: number, over: Partial<Frame> = {}): Frame => ({
    seq,
    time: "2026-05-04T10:00:00Z",
    direction: "in",
    type: "CALL",
    messageId: `m${seq}`,
    action: "Heartbeat",
    text: `[2,"m${seq}","Heartbeat",{}]`,
    notes: [],
    ...over,
  });

  it("are kept once each, newest first, at most so many", () => {
    const merged = mergeFrames([frame(3), frame(1)], [frame(2), frame(3), frame(2), frame(4)], 3);
    expect(merged.map((f) => f.seq)).toEqual([4, 3, 2]);
  });

  it("follow their time, whatever its digits, before their number", () => {
    const times = ["2026-05-04T10:00:01.2Z", "2026-05-04T10:00:01.25Z", "2026-05-04T10:00:01Z"];
    const merged = mergeFrames(
      [],
      times.map((time, i) => frame(i, { time })),
    );
    expect(merged.map((f) => f.seq)).toEqual([1, 0, 2]);
  });

  it("keep an answer that shares its call's number, and put it after the call", () => {
    const call = frame(1);
    const answer = frame(1, { type: "CALLRESULT", text: '[3,"m1",{}]' });
    const later = frame(1, { type: "CALLRESULT", text: '[3,"m1",{}]', time: "2026-05-04T10:00:00.1Z" });
    for (const order of [
      [call, answer],
      [answer, call],
    ]) {
      const merged = mergeFrames([], order);
      expect(merged.map((f) => f.type)).toEqual(["CALLRESULT", "CALL"]);
      expect(mergeFrames(merged, order)).toBe(merged);
    }
    expect(mergeFrames([later], [call]).map((f) => f.type)).toEqual(["CALLRESULT", "CALL"]);
  });

  it("leave the list alone when nothing is new", () => {
    const list = [frame(2), frame(1)];
    expect(mergeFrames(list, [frame(1)])).toBe(list);
  });

  it.each([
    ['[2,"1","Heartbeat",{"a":1}]', { a: 1 }],
    ['[3,"1",{"b":2}]', { b: 2 }],
    ['[4,"1","FormatViolation","no",{}]', { code: "FormatViolation", description: "no", details: {} }],
    ["not json", "not json"],
    ['{"odd":true}', { odd: true }],
  ])("%s carries %o", (text, payload) => expect(payloadOf(frame(1, { text }))).toEqual(payload));

  it("name answers after their calls", () => {
    const answer = frame(2, { messageId: "m1", type: "CALLRESULT", action: "" });
    expect(actionsByMessage([answer, frame(1)]).get("m1")).toBe("Heartbeat");
  });
});

describe("a session's curve", () => {
  const sample = (measurand: string, value: string, unit: string, phase = "") => ({
    measurand,
    value,
    unit,
    phase,
    location: "Outlet",
  });
  it("reads kW and kWh, sums phases, starts energy at zero, and goes on live", () => {
    const series = toSeries(
      [
        {
          at: "2026-05-04T10:01:00Z",
          beside: false,
          context: "Sample.Periodic",
          signed: [],
          samples: [
            sample("Energy.Active.Import.Register", "100.5", "kWh"),
            ...["L1", "L2", "L3"].map((p) => sample("Power.Active.Import", "2.5", "kW", p)),
          ],
        },
        {
          at: "2026-05-04T10:00:00Z",
          beside: false,
          context: "Transaction.Begin",
          signed: [],
          samples: [sample("Energy.Active.Import.Register", "100000", "Wh")],
        },
      ],
      [
        { at: "2026-05-04T10:00:30Z", powerW: 1, energyWh: 1, soc: null },
        { at: "2026-05-04T10:02:00Z", powerW: 7000, energyWh: 620, soc: 40 },
      ],
    );
    expect(series.power).toEqual([null, 7500, 7000]);
    expect(series.energy).toEqual([0, 500, 620]);
    expect(series.soc).toEqual([null, null, 40]);
    expect(series.time).toEqual([...series.time].sort((a, b) => a - b));
  });
});

describe("problems", () => {
  it("keep the server's words and the refused fields", () => {
    const problem = toProblem({
      title: "Unprocessable",
      status: 422,
      detail: "no",
      errors: [{ location: "body.type", message: "bad" }],
    });
    expect(problem).toMatchObject({
      status: 422,
      title: "Unprocessable",
      detail: "no",
      errors: [{ location: "body.type", message: "bad" }],
    });
    expect(toProblem(problem)).toBe(problem);
  });
  it("find words where the server had none", () => {
    expect(toProblem(undefined, 502).title).toContain("502");
    expect(toProblem(new TypeError("Failed to fetch")).status).toBe(0);
    expect(toProblem(new Error("x"))).toBeInstanceOf(Problem);
  });
});

describe("the command editor", () => {
  it("offers payloads that are objects for every action", () => {
    expect(Object.keys(templates).length).toBeGreaterThan(50);
    for (const action of Object.keys(templates))
      expect(parsePayload(template(action))).toHaveProperty("payload");
  });
  it.each(["", "{", "[]", "7", "null", '"text"'])("refuses %s", (text) =>
    expect(parsePayload(text)).toHaveProperty("error"),
  );
});

it("SetVariables leaves out what does not apply", () => {
  const variable: Variable = {
    component: "Connector",
    componentInstance: "",
    evse: 1,
    connector: 2,
    variable: "Enabled",
    variableInstance: "x",
    attribute: "Actual",
    value: "true",
    mutability: "ReadWrite",
    dataType: "boolean",
    unit: "",
    maxLimit: "",
    updatedAt: "",
  };
  expect(toSet(variable, "false")).toEqual({
    attributeValue: "false",
    component: { name: "Connector", evse: { id: 1, connectorId: 2 } },
    variable: { name: "Enabled", instance: "x" },
  });
  expect(toSet({ ...variable, evse: 0, connector: 0, variableInstance: "" }, "1")).toEqual({
    attributeValue: "1",
    component: { name: "Connector" },
    variable: { name: "Enabled" },
  });
});

it.each([
  [null, "/"],
  ["/stations/a?tab=frames", "/stations/a?tab=frames"],
  ["//evil.example", "/"],
  ["https://evil.example", "/"],
  ["/\\evil.example", "/"],
  ["/sign-in", "/"],
])("after sign-in %s leads to %s", (next, path) => expect(safePath(next)).toBe(path));

it("shows text that is no JSON as it is", () => {
  expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(pretty("{oops")).toBe("{oops");
});
