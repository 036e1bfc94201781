package gateway

import (
	"time"

	"github.com/lxzan/gws"

	"lumela/internal/frame"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/ocppj"
)

// logIn logs the frame that was just processed, with its answer and all that was noted meanwhile.
func (l *Link) logIn(text string, at time.Time) {
	e := frame.Exchange{Station: l.station.ID, Organisation: l.station.Organisation, Time: at, Direction: frame.In, Action: l.in.action, Text: redact(text), Notes: l.in.notes,
		AnswerAt: l.in.answerAt, Answer: redact(l.in.answer)}
	l.gateway.frames.Add(e)
}

// answered is the action of our call that a frame answers, "" for any other frame. It is asked before the frame is
// processed: the next call goes out on its heels.
func (l *Link) answered(text string) string {
	if len(text) < 2 || text[1] == '2' {
		return ""
	}
	f, err := ocppj.Parse(text, l.version, false)
	if err != nil {
		return ""
	}
	return l.callOf(f.ID)
}

// send writes a frame to the station. An answer is logged with its call, anything else by itself.
func (l *Link) send(text []byte) error {
	at := time.Now()
	if len(text) > 1 && (text[1] == '3' || text[1] == '4') && l.in.answer == "" { // on the goroutine that processes the call
		l.in.answerAt, l.in.answer = at, string(text)
		return l.write(text)
	}
	e := frame.Exchange{Station: l.station.ID, Organisation: l.station.Organisation, Time: at, Direction: frame.Out, Text: redact(string(text))}
	if f, err := ocppj.Parse(e.Text, l.version, false); err == nil {
		if e.Action = f.Action; f.Type == ocppj.Call { // before it is sent: the answer may be faster than we are
			l.out.Lock()
			l.calling.id, l.calling.action = f.ID, f.Action
			l.out.Unlock()
		}
	}
	err := l.write(text)
	if err == nil {
		l.gateway.frames.Add(e)
	}
	return err
}

func (l *Link) write(text []byte) error {
	err := l.conn.WriteMessage(gws.OpcodeText, text)
	if err == nil {
		l.gateway.Counters.FramesOut.Add(1)
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

// redact blanks the secrets of a frame: whoever reads the log could take the station's place.
func redact(text string) string { return devicemodel.Redact(text) }
