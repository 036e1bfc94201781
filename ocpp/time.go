package ocpp

import (
	"fmt"
	"time"
)

// Time reads an RFC 3339 time. What stations send besides, such as a time without a zone (taken for UTC), is read and
// recorded as tolerated. OCPP 1.6 §3.14, OCPP 2.1 Part 2 3.1.
//
// A year of five digits is read as the end of the year 9999 and recorded as overlong: an error, unless the receiver stores
// it all the same.
//
// The first instant of the year 1 is what some stations send while their clock is not set. It is read as the zero
// time, which stands for no time, and recorded as tolerated.
func (d *Decoder) Time(name string) (time.Time, bool) {
	if d.peek() != '"' {
		d.mismatch(name, "a date-time string")
		return time.Time{}, false
	}
	s, ok := d.text()
	if !ok {
		return time.Time{}, false
	}
	t, odd, ok := readTime(s)
	switch {
	case !ok && farYear(s):
		d.add(Violation{Code: PropertyConstraintViolation, Path: name, Overlong: true,
			Reason: quote(s) + " has a year of five digits, read as the end of the year 9999"})
		return endOfTime, true
	case !ok:
		d.Fail(PropertyConstraintViolation, name, quote(s)+" is not an RFC 3339 time")
		return time.Time{}, false
	case odd == noZone:
		d.add(Violation{Code: PropertyConstraintViolation, Path: name, Reason: odd, Tolerated: !d.strict, Zoneless: true})
	case odd != "":
		d.tolerate(PropertyConstraintViolation, name, odd)
	case t.IsZero():
		d.tolerate(PropertyConstraintViolation, name, "is the year 1: the clock is not set")
	}
	return t, true
}

// endOfTime stands for all times after it, which RFC 3339 cannot write.
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// farYear reports whether s is a time but for a year of five digits, which clocks that were never set tell.
func farYear(s string) bool {
	if len(s) < 6 || s[0] < '1' || s[0] > '9' || s[5] != '-' {
		return false
	}
	for _, c := range s[1:5] {
		if c < '0' || c > '9' {
			return false
		}
	}
	_, _, ok := readTime("2000" + s[5:]) // a leap year, as that one may be
	return ok
}

// ParseTime reads the time formats that stations send: RFC 3339 with any number of fraction digits, a lower-case t
// or z, a space for the T, a comma before the fraction, a zone without its colon, or without a zone (zoned is then
// false and the time is UTC). Digits beyond nanoseconds are cut off.
func ParseTime(s string) (t time.Time, zoned bool, err error) {
	t, odd, ok := readTime(s)
	if !ok {
		return time.Time{}, false, fmt.Errorf("%s is not an RFC 3339 time", quote(s))
	}
	return t, odd != noZone, nil
}

const noZone = "has no time zone, taken for UTC"

// readTime reads a time and gives it in UTC. odd names the deviation from RFC 3339, if any.
func readTime(s string) (t time.Time, odd string, ok bool) {
	if len(s) < len("2006-01-02T15:04:05") || len(s) > 60 || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
		return t, "", false
	}
	century, ok1 := two(s, 0)
	years, ok2 := two(s, 2)
	month, ok3 := two(s, 5)
	day, ok4 := two(s, 8)
	hour, ok5 := two(s, 11)
	minute, ok6 := two(s, 14)
	second, ok7 := two(s, 17)
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || hour > 23 || minute > 59 || second > 60 {
		return t, "", false
	}
	year := century*100 + years
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return t, "", false
	}
	switch s[10] {
	case 'T', 't':
	case ' ':
		odd = "has a space for the T"
	default:
		return t, "", false
	}
	nano, rest, comma, ok := fraction(s[19:])
	if !ok {
		return t, "", false
	}
	if comma {
		odd = "has a comma in the second"
	}
	offset, lax, ok := zone(rest)
	if !ok {
		return t, "", false
	}
	if lax != "" {
		odd = lax
	}
	t = time.Date(year, time.Month(month), day, hour, minute-offset, second, nano, time.UTC)
	// A leap second is the last of a day in UTC; it is read as the first of the next. A zone must not carry the time
	// out of the years that RFC 3339 can write.
	if second == 60 && (t.Hour() != 0 || t.Minute() != 0) || t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, "", false
	}
	return t, odd, true
}

func two(s string, i int) (int, bool) {
	a, b := s[i]-'0', s[i+1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// fraction reads the part of the second in s and gives it in nanoseconds, with what follows it.
func fraction(s string) (nano int, rest string, comma, ok bool) {
	if s == "" || s[0] != '.' && s[0] != ',' {
		return 0, s, false, true
	}
	i, unit := 1, 100_000_000
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		nano += int(s[i]-'0') * unit
		unit /= 10
	}
	return nano, s[i:], s[0] == ',', i > 1
}

// zone reads the offset from UTC in minutes; odd names what RFC 3339 does not allow.
func zone(s string) (minutes int, odd string, ok bool) {
	switch {
	case s == "Z" || s == "z":
		return 0, "", true
	case s == "":
		return 0, noZone, true
	case s[0] != '+' && s[0] != '-':
		return 0, "", false
	case len(s) == 6 && s[3] == ':':
		s = s[:3] + s[4:]
	case len(s) == 5:
		odd = "has a time zone without a colon"
	default:
		return 0, "", false
	}
	h, ok1 := two(s, 1)
	m, ok2 := two(s, 3)
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, "", false
	}
	if s[0] == '-' {
		return -h*60 - m, odd, true
	}
	return h*60 + m, odd, true
}
