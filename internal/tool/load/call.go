package load

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Marks in the text of a message. They are as long as what is written over them.
const (
	// Counter is replaced by a number of nine digits that grows by one with each call, from CounterStart on. It may stand
	// where JSON has a number.
	Counter = "#########"
	// Now is replaced by the time in UTC with milliseconds.
	Now = "@@@@-@@-@@T@@:@@:@@.@@@Z"
	// CounterStart is below the first number of a counter: nine digits without a leading zero.
	CounterStart = 100_000_000

	timeLayout = "2006-01-02T15:04:05.000Z"
	messageID  = "4e7b2c10-0000-4000-8000-000#########" // 36 characters, as stations make them
)

// Call is a message that is made once and sent many times, with new numbers and times in it. It belongs to one link.
type Call struct {
	frame    []byte
	id       []byte // in frame
	counters []int
	times    []int
	n        int
	size     int
}

// NewCall makes the message that calls action with payload, a JSON object with marks.
func NewCall(action, payload string) *Call {
	text := `[2,"` + messageID + `","` + action + `",` + payload + `]`
	c := &Call{frame: AppendFrame(nil, opText, []byte(text)), n: CounterStart, size: len(text)}
	start := len(c.frame) - len(text)
	c.id = c.frame[start+4 : start+4+len(messageID)]
	for _, mark := range []struct {
		text string
		at   *[]int
	}{{Counter, &c.counters}, {Now, &c.times}} {
		for at := start; ; at += len(mark.text) {
			i := bytes.Index(c.frame[at:], []byte(mark.text))
			if i < 0 {
				break
			}
			at += i
			*mark.at = append(*mark.at, at)
		}
	}
	return c
}

// Size is the length of the message in bytes, without the frame's head.
func (c *Call) Size() int { return c.size }

// next writes new numbers and times and gives the frame.
func (c *Call) next(now time.Time) []byte {
	c.n++
	for _, at := range c.counters {
		strconv.AppendInt(c.frame[at:at:at+len(Counter)], int64(c.n), 10)
	}
	if len(c.times) > 0 {
		var room [64]byte
		text := now.UTC().AppendFormat(room[:0], timeLayout)
		for _, at := range c.times {
			copy(c.frame[at:at+len(Now)], text)
		}
	}
	return c.frame
}

// answered reports whether a message is the result of the present call, and an error when it is its refusal.
func (c *Call) answered(text []byte) (bool, error) {
	if len(text) < 5+len(c.id) || text[0] != '[' || text[2] != ',' || text[3] != '"' || !bytes.Equal(text[4:4+len(c.id)], c.id) {
		return false, nil
	}
	if text[1] != '3' {
		return true, fmt.Errorf("the call was refused: %s", text)
	}
	return true, nil
}

// fill writes the time over its marks, once.
func fill(payload string) string {
	return strings.ReplaceAll(payload, Now, time.Now().UTC().Format(timeLayout))
}
