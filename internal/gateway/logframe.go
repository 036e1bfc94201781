package gateway

import (
	"regexp"
	"strings"
	"time"

	"lumela/internal/frame"
	"lumela/ocpp/ocppj"
)

var typeNames = map[ocppj.MessageType]string{ocppj.Call: "CALL", ocppj.CallResult: "CALLRESULT", ocppj.CallError: "CALLERROR",
	ocppj.CallResultError: "CALLRESULTERROR", ocppj.Send: "SEND"}

// logIn logs the frame that was just processed, with all that was noted meanwhile.
func (l *Link) logIn(text string, at time.Time) {
	f := l.describe("in", text, at)
	f.Notes = l.in.notes
	if f.Type == "CALL" && l.in.action != "" {
		f.Action = l.in.action
	}
	if f.Action == "" {
		f.Action = l.callOf(f.MessageID)
	}
	l.gateway.frames.Add(f)
}

// send writes a frame to the station and logs it.
func (l *Link) send(text []byte) error {
	f := l.describe("out", string(text), time.Now())
	switch f.Type {
	case "CALL":
		l.out.Lock()
		l.calling.id, l.calling.action = f.MessageID, f.Action
		l.out.Unlock()
	default:
		f.Action = l.in.action
	}
	err := l.conn.WriteMessage(1, text)
	if err == nil {
		l.gateway.Counters.FramesOut.Add(1)
		l.gateway.frames.Add(f)
	}
	return err
}

// callOf is the action of the call with this id, when it was our latest.
func (l *Link) callOf(id string) string {
	l.out.Lock()
	defer l.out.Unlock()
	if l.calling.id == id {
		return l.calling.action
	}
	return ""
}

func (l *Link) describe(direction, text string, at time.Time) frame.Frame {
	f := frame.Frame{Station: l.station.ID, Time: at, Direction: direction, Type: "INVALID", Text: text}
	if parsed, err := ocppj.Parse(text, l.version, false); err == nil {
		f.Type, f.MessageID, f.Action = typeNames[parsed.Type], parsed.ID, parsed.Action
	}
	f.Text = redact(f.Text)
	return f
}

// secretValue finds the values of passwords in the frames that can carry them.
var secretValue = regexp.MustCompile(`("(?:value|attributeValue|basicAuthPassword)"\s*:\s*")(?:[^"\\]|\\.)*(")`)

// redact blanks the values of frames that carry a password: whoever reads the log could take the station's place.
func redact(text string) string {
	if !strings.Contains(text, "AuthorizationKey") && !strings.Contains(text, "asicAuthPassword") {
		return text
	}
	return secretValue.ReplaceAllString(text, "${1}********${2}")
}
