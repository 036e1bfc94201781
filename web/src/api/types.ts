import type { components } from "./schema";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Overview = Schemas["Overview"];
export type Station = Schemas["Station"];
export type Evse = Schemas["Evse"];
export type Connector = Schemas["Connector"];
export type Session = Schemas["Session"];
export type MeterValue = Schemas["MeterValue"];
export type Variable = Schemas["Variable"];
export type StatusChange = Schemas["StatusChange"];
export type Link = Schemas["Link"];
export type Notice = Schemas["Notice"];
export type Frame = Schemas["Frame"];
export type Note = Schemas["Note"];
export type Command = Schemas["Command"];
export type CommandResult = Schemas["CommandResult"];
export type Token = Schemas["Token"];
