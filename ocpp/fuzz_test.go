package ocpp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
)

func FuzzDecode16(f *testing.F)  { fuzzDecode(f, ocpp.V16) }
func FuzzDecode201(f *testing.F) { fuzzDecode(f, ocpp.V201) }
func FuzzDecode21(f *testing.F)  { fuzzDecode(f, ocpp.V21) }

// fuzzDecode reads any text as the request or response of any action. It never panics; what is accepted strictly is
// written as a text that is accepted again and holds the same.
func fuzzDecode(f *testing.F, v ocpp.Version) {
	for seed, a := range ocpptest.Actions(v) {
		req := rapid.Custom(func(t *rapid.T) string { return ocpptest.DrawJSON(t, v, a.Name+"Request") })
		f.Add(a.Name, req.Example(seed), false)
		if !a.Send {
			resp := rapid.Custom(func(t *rapid.T) string { return ocpptest.DrawJSON(t, v, a.Name+"Response") })
			f.Add(a.Name, resp.Example(seed), true)
		}
	}
	f.Fuzz(func(t *testing.T, action, text string, response bool) {
		fresh := func() ocpp.Message {
			if response {
				if m := ocpptest.NewResponse(v, action); m != nil {
					return m
				}
				return nil
			}
			if m := ocpptest.NewRequest(v, action); m != nil {
				return m
			}
			return nil
		}
		lenient := fresh()
		if lenient == nil {
			return
		}
		tolerant := ocpp.Decode(text, lenient, false)
		ocpp.Marshal(lenient)
		m := fresh()
		vs := ocpp.Decode(text, m, true)
		if len(tolerant) != len(vs) {
			t.Fatalf("strict and lenient readers see different things:\n%v\n%v", vs, tolerant)
		}
		if len(vs) > 0 {
			return
		}
		out := string(ocpp.Marshal(m))
		again := fresh()
		if vs := ocpp.Decode(out, again, true); len(vs) > 0 {
			t.Fatalf("%v\nread    %s\nwritten %s", vs, text, out)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatalf("read, written and read again (-first +second):\n%s", diff)
		}
	})
}
