package translate

import "lumela/ocpp"

// Direction says which way a message crosses: up to 2.1 or down from it.
type Direction string

// The two ways.
const (
	Up   Direction = "lift"
	Down Direction = "lower"
)

// Part says which half of an exchange a field belongs to.
type Part string

// The two halves.
const (
	InRequest  Part = "request"
	InResponse Part = "response"
)

// FieldNote tells what becomes of one field that has no exact twin.
type FieldNote struct {
	In   Part   `json:"in"`
	Path string `json:"field"` // in the message that is translated, [] for every item of a list
	Kind Kind   `json:"kind"`  // Emulated, Lost or Refused
	Text string `json:"text"`
}

// Entry tells what becomes of one message. An exchange crosses twice: the request in Direction, the response the other
// way; Fields has both.
type Entry struct {
	Version   ocpp.Version `json:"-"` // the older version; the other side is always 2.1
	From      ocpp.Role    `json:"-"` // who sends the request
	Action    string       `json:"action"`
	Direction Direction    `json:"direction"`
	// Kind is Same when the other version has the message, whatever becomes of single fields; Emulated when the effect
	// is reached with other messages; Refused when the request is always refused. It is never Lost.
	Kind Kind `json:"kind"`
	// How says in a sentence which messages carry it, or why it is refused; empty for most that are Same.
	How    string      `json:"how,omitempty"`
	Fields []FieldNote `json:"fields,omitempty"`
}

// Table tells for every message of every version, both ways and for both senders, what a translation keeps, emulates,
// loses and refuses. It is the text that users see, and tests hold the code to it.
func Table() []Entry {
	var all []Entry
	all = append(all, tableStation16()...)
	all = append(all, tableCSMS16()...)
	return append(all, table201()...)
}
