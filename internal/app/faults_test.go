package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
)

// faultsFile lists faults, attacks and bad inputs with the right behaviour for each version.
const faultsFile = "../../../shared/cases/faults.json"

// faultCase is one entry of the file.
type faultCase struct {
	ID       string `json:"id"`
	Stimulus string `json:"stimulus"`
	OCPP16   string `json:"ocpp16"`
	OCPP201  string `json:"ocpp201"`
	OCPP21   string `json:"ocpp21"`
}

func (c faultCase) behaviour(version string) string {
	return map[string]string{"1.6": c.OCPP16, "2.0.1": c.OCPP201, "2.1": c.OCPP21}[version]
}

// faultTests are the stimuli of the families that a node can be tested for by its links alone. Each runs once for each
// version whose column says something.
var faultTests = map[string]func(t *testing.T, f *fault){
	"H01": faultUnknownStation, "H02": faultNoPassword, "H04": faultOtherUser, "H05": faultOtherStation, "H07": faultHexKey,
	"H08": faultWithoutTLS, "H10": faultOldTLS, "H11": faultRSAKeyExchange, "H13": faultWeakSuites, "H14": faultNoCertificate,
	"H16": faultExpiredCertificate, "H17": faultOtherCommonName, "H19": faultRevokedCertificate, "H20": faultSerialNumber,
	"H22": faultUnknownSubprotocol, "H23": faultTwoSubprotocols, "H25": faultPathOfAnotherVersion, "H26": faultEscapedIDs,
	"H28": faultScan, "H29": faultSlowHandshake, "H31": faultBrowser,
	"C01": faultSecondLink, "C03": faultHalfOpen, "C04": faultOldLinkEnds, "C06": faultStorm, "C07": faultReconnects, "C09": faultCallBeforeBoot, "C10": faultBinary,
	"C12": faultBadFrames, "C13": faultFragments, "C15": faultInflation, "C16": faultTooLong, "C18": faultStop,
	"R02": faultNotAnArray, "R03": faultShortArrays, "R05": faultUnknownType, "R06": faultSend, "R08": faultLongID,
	"R09": faultNoID, "R11": faultRepeated, "R12": faultSameIDOtherBody, "R14": faultUnsupported, "R15": faultWrongCase,
	"R17": faultOtherVersionsAction, "R18": faultUnknownAnswer, "R20": faultInvalidAnswer, "R21": faultOddCallError,
	"R23": faultPayloadShape, "R24": faultDuplicateKeys, "R26": faultCrossing, "R27": faultPipelined, "R29": faultSigned,
	"R30": faultErrorsOfOurs,
	"V02": faultWrongType, "V03": faultUnknownEnum, "V05": faultExtraProperty, "V06": faultEmptyArray, "V08": faultBadTime,
	"V09": faultOffsets, "V11": faultCelcius, "V12": faultNoReason, "V14": faultHostileText, "V15": faultNumbers,
	"B01": faultBeforeBoot, "B02": faultPendingTriggered, "B04": faultRejected, "B05": faultBootStorm, "B07": faultClock,
	"B08": faultWaitingRoom,
}

// faultDeviations are the cases where a node does something else than the file says, on purpose.
var faultDeviations = map[string]string{
	"H23": "the version of a link is the newest that both sides speak, whatever the order of the offer: that is what CONTRACT.md promises",
}

// faultsUncovered is what the file asks for and the node cannot do yet, with what it does instead.
var faultsUncovered = map[string]string{
	"H16": "2.1: no station can be allowed to come with an expired certificate to renew it (OCPP 2.1 A00.FR.429): the platform signs no " +
		"certificates, so that such a station would wait for ever; it is refused like any other, as the test shows, and gets a new one by hand",
}

// faultsElsewhere are the cases that need a hand inside the node: the file and the test.
var faultsElsewhere = map[string][2]string{"C19": {"../gateway/hostile_test.go", "TestClockSteps"}}

// faultsBeforeUpgrade are the cases that end before a WebSocket begins, or that look at nothing which a station says after
// it: whether the station is strict is known from then on only.
var faultsBeforeUpgrade = []string{"H01", "H02", "H04", "H05", "H07", "H08", "H10", "H11", "H13", "H14", "H16", "H17", "H19", "H22", "H23", "H25",
	"H26", "H28", "H29", "H31", "C06", "C07"}

// fault is one case in one version, with a lenient or a strict station.
type fault struct {
	faultCase
	*faultNodes
	version string
	strict  bool
}

// faultNodes are the nodes that the cases share: one for each policy, started when the first case needs it.
type faultNodes struct {
	open, closed, approve func() *apptest.Node
	tls                   func() *tlsNode
	serial                atomic.Int64
}

func newFaultNodes(t *testing.T) *faultNodes {
	start := func(policy string) func() *apptest.Node {
		return sync.OnceValue(func() *apptest.Node { return apptest.Start(t, apptest.Admission(policy)) })
	}
	return &faultNodes{open: start("open"), closed: start("closed"), approve: start("approve"),
		tls: sync.OnceValue(func() *tlsNode { return startTLS(t) })}
}

func readFaults(t *testing.T) []faultCase {
	t.Helper()
	raw, err := os.ReadFile(faultsFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not here: the list of faults is kept beside the repository", faultsFile)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cases []faultCase
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 50 {
		t.Fatalf("%s has only %d cases", faultsFile, len(cases))
	}
	return cases
}

// TestFaults plays every case of the families H (handshake), R (RPC framework), V (values) and B (boot), and those of C
// (connection) that can be played in seconds.
func TestFaults(t *testing.T) {
	t.Parallel()
	cases := readFaults(t)
	nodes := newFaultNodes(t)
	for _, c := range cases {
		if !slices.Contains([]string{"H", "R", "V", "B", "C"}, c.ID[:1]) {
			continue
		}
		if faultsElsewhere[c.ID] != [2]string{} {
			continue
		}
		if faultTests[c.ID] == nil {
			t.Errorf("%s has no test: %s", c.ID, c.Stimulus)
			continue
		}
		for _, version := range []string{"1.6", "2.0.1", "2.1"} {
			if c.behaviour(version) == "n/a" {
				continue
			}
			playFault(t, &fault{faultCase: c, faultNodes: nodes, version: version}, "lenient")
			if !slices.Contains(faultsBeforeUpgrade, c.ID) {
				playFault(t, &fault{faultCase: c, faultNodes: nodes, version: version, strict: true}, "strict")
			}
		}
	}
}

func playFault(t *testing.T, f *fault, mode string) {
	t.Run(f.ID+"/"+f.version+"/"+mode, func(t *testing.T) {
		t.Parallel()
		for _, list := range []map[string]string{faultDeviations, faultsUncovered} {
			if why := list[f.ID]; why != "" {
				t.Log("deviation: ", why)
			}
		}
		faultTests[f.ID](t, f)
	})
}

// TestFaultListIsTrue keeps the lists above from naming cases that do not exist.
func TestFaultListIsTrue(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, c := range readFaults(t) {
		known[c.ID] = true
	}
	for id := range faultTests {
		if !known[id] {
			t.Errorf("%s is tested, but the file has no such case", id)
		}
	}
	for _, list := range []map[string]string{faultDeviations, faultsUncovered} {
		for id, why := range list {
			if !known[id] || why == "" {
				t.Errorf("%s: no such case, or no reason", id)
			}
		}
	}
	for id, where := range faultsElsewhere {
		if text, err := os.ReadFile(where[0]); err != nil || !known[id] || !strings.Contains(string(text), "func "+where[1]+"(t *testing.T) {") {
			t.Errorf("%s: no such case, or no %s in %s: %v", id, where[1], where[0], err)
		}
	}
	for _, id := range faultsBeforeUpgrade {
		if !known[id] {
			t.Errorf("%s: no such case", id)
		}
	}
}

// is16 reports whether the case is played by a 1.6 station.
func (f *fault) is16() bool { return f.version == "1.6" }

// by picks what differs between 1.6 and the others.
func (f *fault) by(for16, for2 string) string {
	if f.is16() {
		return for16
	}
	return for2
}

// id makes a station id of this case that no other case uses.
func (f *fault) id() string {
	mode := "l"
	if f.strict {
		mode = "s"
	}
	return fmt.Sprintf("%s-%s%s-%d", f.ID, f.version, mode, f.serial.Add(1))
}

// station is an accepted station of the version on the open node.
func (f *fault) station(t *testing.T) *apptest.Station {
	t.Helper()
	return f.dial(t, apptest.Dial{}).Boot(f.version)
}

// dial connects a station of the version to the open node.
func (f *fault) dial(t *testing.T, d apptest.Dial) *apptest.Station {
	t.Helper()
	id := f.id()
	if f.strict {
		f.open().Want(t, 201, "POST", "/stations", `{"id":"`+id+`","strict":true}`)
	}
	return f.open().Dial(t, id, f.version, d)
}

// withPassword makes a station of security profile 1 and gives its id and password.
func (f *fault) withPassword(t *testing.T, n *apptest.Node, profile int) (id, password string) {
	t.Helper()
	id = f.id()
	var made struct{ Password string }
	n.Want(t, 201, "POST", "/stations", fmt.Sprintf(`{"id":%q,"securityProfile":%d,"strict":%v}`, id, profile, f.strict)).Into(t, &made)
	return id, made.Password
}

// callError is the pattern of a CALLERROR.
func callError(id, code string) string { return `[4,"` + id + `","` + code + `","<any>",{}]` }

// notes gives the texts of the notes of a station's newest incoming frame that contains a text. Frames are written a
// moment after they passed.
func notes(t *testing.T, n *apptest.Node, id, contains string) string {
	t.Helper()
	text := ""
	apptest.Poll(t, "a frame with "+contains, func() bool {
		var list struct {
			Items []struct {
				Direction, Text string
				Notes           []struct{ Kind, Text string }
			}
		}
		n.Get(t, "/stations/"+id+"/frames?limit=1000", &list)
		for _, f := range list.Items {
			if f.Direction == "in" && strings.Contains(f.Text, contains) {
				for _, note := range f.Notes {
					text += note.Kind + ": " + note.Text + "\n"
				}
				return true
			}
		}
		return false
	})
	return text
}

// wantSecurityEvent waits for the event that tells an operator of an attack on a station.
func wantSecurityEvent(events *apptest.Events, id string) {
	events.Next("security event of "+id, func(e apptest.Event) bool {
		return e.Type == "security" && strings.Contains(e.Data, `"station":"`+id+`"`)
	})
}

// short is a configuration in which calls time out soon.
func short(c *app.Config) { c.CallTimeout = 1_000_000_000 }
