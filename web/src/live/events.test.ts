import { describe, expect, it } from "vitest";
import { session, station } from "../test/api";
import { applyToFleet, applyToStation, type LiveEvent, toFleet } from "./events";

const later = "2026-05-04T10:05:00Z";
const event = (type: string, data: unknown = null, id = "CS-1"): LiveEvent => ({
  id: "1",
  type,
  time: later,
  station: id,
  data,
});

describe("an event on a station", () => {
  it("turns it off and on and remembers when", () => {
    const off = applyToStation(station("CS-1"), event("station.offline"));
    expect(off).toMatchObject({ online: false, lastSeen: later });
    expect(applyToStation(off, event("station.online"))).toMatchObject({ online: true, lastSeen: later });
  });

  it("brings new fields and never takes the EVSEs away", () => {
    const before = station("CS-1");
    const after = applyToStation(
      before,
      event("station.updated", { id: "CS-1", firmware: "2.0", evses: [] }),
    );
    expect(after.firmware).toBe("2.0");
    expect(after.evses).toBe(before.evses);
  });

  it("changes one connector, keeps its type, and lets the EVSE follow", () => {
    const change = {
      evse: 1,
      connector: 1,
      status: "Faulted",
      detail: "",
      error: { code: "GroundFailure", info: "" },
      since: later,
    };
    const evse = applyToStation(station("CS-1"), event("connector.status", change)).evses[0];
    expect(evse).toMatchObject({ status: "Faulted", connectors: [{ status: "Faulted", type: "sType2" }] });
  });

  it("adds what it did not know yet, in order", () => {
    const change = (evse: number, connector: number) =>
      event("connector.status", {
        evse,
        connector,
        status: "Available",
        detail: "",
        error: null,
        since: later,
      });
    const after = [change(3, 1), change(2, 2), change(2, 1)].reduce(applyToStation, station("CS-1"));
    expect(after.evses.map((e) => [e.id, e.connectors.map((c) => c.id)])).toEqual([
      [1, [1]],
      [2, [1, 2]],
      [3, [1]],
    ]);
  });

  it("shows a session while it runs, and only the end of that session clears it", () => {
    const running = applyToStation(station("CS-1"), event("session.started", session("a")));
    expect(running.evses[0]?.session?.id).toBe("a");
    const other = applyToStation(running, event("session.ended", session("b", { state: "ended" })));
    expect(other.evses[0]?.session?.id).toBe("a");
    const ended = applyToStation(other, event("session.ended", session("a", { state: "ended" })));
    expect(ended.evses[0]?.session).toBeNull();
  });

  it("changes nothing when it comes twice", () => {
    const events = [
      event("connector.status", {
        evse: 1,
        connector: 1,
        status: "Occupied",
        detail: "Charging",
        error: null,
        since: later,
      }),
      event("session.updated", session("a")),
    ];
    const once = events.reduce(applyToStation, station("CS-1"));
    expect(events.reduce(applyToStation, once)).toEqual(once);
  });
});

describe("a batch of events on the fleet", () => {
  it("sorts ids as people count", () => {
    expect(toFleet([station("CS-10"), station("CS-9")]).ids).toEqual(["CS-9", "CS-10"]);
  });

  it("replaces only the stations that it speaks of", () => {
    const fleet = toFleet([station("CS-1"), station("CS-2")]);
    const { fleet: after, unknown } = applyToFleet(fleet, [event("station.offline")]);
    expect(after.byId["CS-1"]?.online).toBe(false);
    expect(after.byId["CS-2"]).toBe(fleet.byId["CS-2"]);
    expect(unknown).toBe(false);
  });

  it("says when it spoke of a station that is not there, and is the same fleet then", () => {
    const fleet = toFleet([station("CS-1")]);
    const result = applyToFleet(fleet, [event("station.pending", null, "NEW")]);
    expect(result).toEqual({ fleet, unknown: true });
    expect(result.fleet).toBe(fleet);
  });

  it("lets a deleted station go", () => {
    const { fleet } = applyToFleet(toFleet([station("CS-1"), station("CS-2")]), [event("station.deleted")]);
    expect(fleet.ids).toEqual(["CS-2"]);
    expect(fleet.byId["CS-1"]).toBeUndefined();
  });
});
