// Package ocppj is the JSON framing of OCPP over WebSocket (OCPP-J): the arrays that carry calls and answers, the
// spelling of error codes in each version, and Peer, which correlates calls and answers on one link.
//
// It does no input or output itself: frames come in and go out as text.
package ocppj

import (
	"strings"
	"unicode/utf8"

	"lumela/ocpp"
)

// MessageType is the number that a frame begins with.
type MessageType int

// The message types, OCPP 2.1 Part 4 4.1.3. The last two exist only in 2.1.
const (
	Call            MessageType = 2
	CallResult      MessageType = 3
	CallError       MessageType = 4
	CallResultError MessageType = 5
	Send            MessageType = 6
)

// MaxID is how many characters a message id may have.
const MaxID = 36

// Frame is one message as it stands on the wire. The texts share the memory of the frame.
type Frame struct {
	Type    MessageType
	ID      string
	Action  string // CALL and SEND
	Payload string // CALL, SEND and CALLRESULT: the JSON text, not yet looked at
	Error   *ocpp.CallError
	// Warning tells what a lenient reader accepted in the envelope, "" for nothing.
	Warning string
}

// FrameError says that a text is no frame.
type FrameError struct {
	// Ignore is true where the version wants no answer: unknown message types of 1.6 and 2.1.
	Ignore bool
	// Answerable is false when an error answer could itself be the answer to an answer.
	Answerable bool
	ID         string // of the message, "-1" when it could not be read
	Err        ocpp.CallError
}

// Error gives the reason.
func (e *FrameError) Error() string { return e.Err.Error() }

// Parse splits a frame. The payload of a CALL is not decoded: its syntax is checked when it is.
func Parse(text string, v ocpp.Version, strict bool) (Frame, *FrameError) {
	d := ocpp.NewDecoder(text, true)
	text = d.Text()
	if !d.BeginArray() {
		return Frame{}, unreadable(v, "-1", "a frame must be a JSON array")
	}
	if !d.NextItem(true) {
		return Frame{}, unreadable(v, "-1", "the frame is empty")
	}
	typ, ok := d.Int("")
	if !ok {
		return Frame{}, unreadable(v, "-1", "the message type must be an integer")
	}
	f := Frame{Type: MessageType(typ)}
	known := f.Type >= Call && f.Type <= CallError || v == ocpp.V21 && (f.Type == CallResultError || f.Type == Send)
	id, warning, ferr := readID(d, v, strict)
	if !known {
		return Frame{}, unknownType(v, id)
	}
	if ferr != nil {
		ferr.Answerable = f.Type == Call
		return Frame{}, ferr
	}
	f.ID, f.Warning = id, warning
	switch f.Type {
	case Call:
		return parseCall(d, f, text, v)
	case Send: // OCPP 2.1 Part 4 4.2.4: never answered, whatever is wrong with it
		f, err := parseCall(d, f, text, v)
		return f, notAnswerable(err)
	case CallResult:
		if !d.NextItem(false) {
			return Frame{}, notAnswerable(unreadable(v, id, "the answer has no payload"))
		}
		f.Payload = rest(d, text)
		return f, nil
	}
	return parseError(d, f)
}

func parseCall(d *ocpp.Decoder, f Frame, text string, v ocpp.Version) (Frame, *FrameError) {
	if !d.NextItem(false) {
		return Frame{}, unreadable(v, f.ID, "the call has no action")
	}
	action, ok := d.String("", 0)
	if !ok {
		return Frame{}, unreadable(v, f.ID, "the action must be a string")
	}
	if !d.NextItem(false) {
		return Frame{}, unreadable(v, f.ID, "the call has no payload")
	}
	f.Action, f.Payload = action, rest(d, text)
	return f, nil
}

// rest is the text from the current item to the closing bracket of the frame.
func rest(d *ocpp.Decoder, text string) string {
	from := text[d.Offset():]
	if end := strings.LastIndexByte(from, ']'); end >= 0 && strings.TrimSpace(from[end+1:]) == "" {
		return from[:end]
	}
	return from + " " // no bracket: the decoder of the payload will find the syntax error
}

// parseError reads [4, id, code, description, details]. Missing members and unknown codes are accepted.
func parseError(d *ocpp.Decoder, f Frame) (Frame, *FrameError) {
	f.Error = &ocpp.CallError{}
	if d.NextItem(false) {
		text, _ := d.String("", 0)
		code, known := ParseCode(text)
		f.Error.Code = code
		if d.NextItem(false) {
			f.Error.Description, _ = d.String("", 0)
			if d.NextItem(false) {
				f.Error.Details, _ = d.Raw("")
			}
		}
		if !known {
			f.Warning = "unknown error code " + text
			f.Error.Description = strings.TrimSpace(text + " " + f.Error.Description)
		}
	}
	return f, nil
}

// readID reads the message id. Without a usable one the frame cannot be answered under its own name.
func readID(d *ocpp.Decoder, v ocpp.Version, strict bool) (id, warning string, err *FrameError) {
	if !d.NextItem(false) {
		return "-1", "", unreadable(v, "-1", "the frame has no message id")
	}
	id, ok := d.String("", 0)
	switch {
	case !ok:
		return "-1", "", unreadable(v, "-1", "the message id must be a string")
	case id == "":
		return "-1", "", unreadable(v, "-1", "the message id is empty")
	case utf8.RuneCountInString(id) <= MaxID:
		return id, "", nil
	case strict || len(id) > 4*MaxID:
		return id, "", unreadable(v, cutRunes(id, MaxID), "the message id has more than 36 characters")
	}
	return id, "message id of more than 36 characters", nil
}

func unreadable(v ocpp.Version, id, reason string) *FrameError {
	code := ocpp.RPCFrameworkError
	if v == ocpp.V16 {
		code = ocpp.FormatViolation
	}
	return &FrameError{ID: id, Answerable: true, Err: ocpp.CallError{Code: code, Description: reason}}
}

func notAnswerable(e *FrameError) *FrameError {
	if e != nil {
		e.Answerable = false
	}
	return e
}

// unknownType is what each version does with a message type that it does not have: 1.6 and 2.1 ignore it, 2.0.1
// answers. OCPP-J 1.6 4.1.3, OCPP 2.0.1 Part 4 4.1.3, OCPP 2.1 Part 4 4.1.3.
func unknownType(v ocpp.Version, id string) *FrameError {
	return &FrameError{ID: id, Ignore: v != ocpp.V201, Answerable: v == ocpp.V201,
		Err: ocpp.CallError{Code: ocpp.MessageTypeNotSupported, Description: "unknown message type"}}
}

func cutRunes(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}

// AppendCall appends [2, id, action, payload].
func AppendCall(b []byte, id, action string, m ocpp.Message) []byte {
	return appendRequest(b, '2', id, action, m)
}

// AppendSend appends [6, id, action, payload].
func AppendSend(b []byte, id, action string, m ocpp.Message) []byte {
	return appendRequest(b, '6', id, action, m)
}

func appendRequest(b []byte, typ byte, id, action string, m ocpp.Message) []byte {
	b = append(b, '[', typ, ',')
	b = ocpp.AppendString(b, id)
	b = append(b, ',')
	b = ocpp.AppendString(b, action)
	b = append(b, ',')
	b = m.AppendJSON(b)
	return append(b, ']')
}

// AppendResult appends [3, id, payload].
func AppendResult(b []byte, id string, m ocpp.Message) []byte {
	b = append(b, "[3,"...)
	b = ocpp.AppendString(b, id)
	b = append(b, ',')
	b = m.AppendJSON(b)
	return append(b, ']')
}

// AppendError appends [4, id, code, description, details] in the spelling of the version. The description is cut at
// 255 characters.
func AppendError(b []byte, v ocpp.Version, id string, e *ocpp.CallError) []byte {
	return appendError(b, '4', v, id, e)
}

// AppendResultError appends [5, id, code, description, details]: an answer that could not be used, OCPP 2.1 only.
func AppendResultError(b []byte, id string, e *ocpp.CallError) []byte {
	return appendError(b, '5', ocpp.V21, id, e)
}

func appendError(b []byte, typ byte, v ocpp.Version, id string, e *ocpp.CallError) []byte {
	b = append(b, '[', typ, ',')
	b = ocpp.AppendString(b, id)
	b = append(b, ',')
	b = ocpp.AppendString(b, CodeText(v, e.Code))
	b = append(b, ',')
	b = ocpp.AppendString(b, cutRunes(e.Description, 255))
	b = append(b, ',')
	if e.Details == "" {
		b = append(b, "{}"...)
	} else {
		b = append(b, e.Details...)
	}
	return append(b, ']')
}

// CodeText spells an error code as the version's table does. Codes that 1.6 does not have become the nearest that it
// has: OCPP-J 1.6 4.2.3, OCPP 2.1 Part 4 4.3.
func CodeText(v ocpp.Version, c ocpp.Code) string {
	if v == ocpp.V16 {
		switch c {
		case ocpp.FormatViolation, ocpp.RPCFrameworkError:
			return "FormationViolation"
		case ocpp.OccurrenceConstraintViolation:
			return "OccurenceConstraintViolation" // sic: the published table has one r, and keeps it
		case ocpp.MessageTypeNotSupported:
			return "NotSupported"
		}
	}
	return c.String()
}

var codes = map[string]ocpp.Code{
	"GenericError": ocpp.GenericError, "FormatViolation": ocpp.FormatViolation, "FormationViolation": ocpp.FormatViolation,
	"InternalError": ocpp.InternalError, "MessageTypeNotSupported": ocpp.MessageTypeNotSupported,
	"NotImplemented": ocpp.NotImplemented, "NotSupported": ocpp.NotSupported,
	"OccurenceConstraintViolation":  ocpp.OccurrenceConstraintViolation,
	"OccurrenceConstraintViolation": ocpp.OccurrenceConstraintViolation,
	"PropertyConstraintViolation":   ocpp.PropertyConstraintViolation, "ProtocolError": ocpp.ProtocolError,
	"RpcFrameworkError": ocpp.RPCFrameworkError, "SecurityError": ocpp.SecurityError,
	"TypeConstraintViolation": ocpp.TypeConstraintViolation,
}

// ParseCode reads an error code in any version's spelling; an unknown one is GenericError and false.
func ParseCode(s string) (ocpp.Code, bool) {
	c, ok := codes[s]
	return c, ok
}
