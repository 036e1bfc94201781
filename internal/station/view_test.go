package station

import (
	"testing"
	"time"

	"lumela/ocpp/v21"
)

// TestRunningOnEVSE: an EVSE shows the session that runs on it, without power while its station is offline, and never one of
// a former owner.
func TestRunningOnEVSE(t *testing.T) {
	t.Parallel()
	connectors := []ConnectorState{{EVSE: 1, Connector: 1, Status: v21.ConnectorStatusOccupied}}
	running := map[Place]RunningSession{{"S", 1}: {Organisation: home, ID: "session", PowerW: 7000}}
	for _, c := range []struct {
		name    string
		st      Station
		session bool
		power   int64
	}{
		{"online", Station{ID: "S", Organisation: home, ConnectedAt: time.Now()}, true, 7000},
		{"offline", Station{ID: "S", Organisation: home}, true, 0},
		{"of another", Station{ID: "S", Organisation: foreign, ConnectedAt: time.Now()}, false, 0},
	} {
		got := evseViews(&c.st, connectors, running)
		if len(got) != 1 || (got[0].Session != nil) != c.session || c.session && got[0].Session.PowerW != c.power {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if running[Place{"S", 1}].PowerW != 7000 {
		t.Error("the session itself was changed")
	}
}
