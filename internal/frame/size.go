package frame

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes that is written as 500MiB or 20GiB; a number alone is bytes.
type Size int64

// LeastSize is the least that a log in files can be bounded to.
const LeastSize = Size(64 << 20)

var units = []struct {
	name string
	size Size
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String writes the size with the greatest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Set reads a size, for flags.
func (s *Size) Set(text string) error {
	number, unit := strings.TrimSpace(text), Size(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > int64(1<<62/unit) {
		return fmt.Errorf("%q is not a size such as 500MiB, 20GiB or 0", text)
	}
	*s = Size(n) * unit
	return nil
}

// Type names the kind of value in the help of flags.
func (s *Size) Type() string { return "size" }

// UnmarshalText reads a size from the environment and from files.
func (s *Size) UnmarshalText(text []byte) error { return s.Set(string(text)) }

// MarshalText is the other direction of [Size.UnmarshalText].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
