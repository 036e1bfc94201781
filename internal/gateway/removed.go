package gateway

import (
	"encoding/json"

	"lumela/internal/bus"
)

// removedSubject tells all nodes that a station does not belong to an organisation any more.
const removedSubject = "lumela.removed"

type removedWire struct {
	Station      string `json:"station"`
	Organisation string `json:"organisation"`
}

// Removed closes the link of a station that an organisation has removed, on whichever node it is. A link that the station
// has made for another organisation since stays.
func (g *Gateway) Removed(organisation, id string) {
	g.closeRemoved(organisation, id)
	if !g.bus.External() {
		return
	}
	body, err := json.Marshal(removedWire{Station: id, Organisation: organisation})
	if err == nil {
		err = g.bus.Publish(removedSubject, body)
	}
	if err != nil {
		g.log.Error("link of a removed station may last on another node", "station", id, "error", err)
	}
}

func (g *Gateway) closeRemoved(organisation, id string) {
	if l := g.Link(id); l != nil && l.station.Organisation == organisation {
		l.Reject()
		l.Close("the station was removed")
	}
}

// hearRemovals listens for removals on other nodes.
func (g *Gateway) hearRemovals() error {
	sub, err := g.bus.Subscribe(removedSubject, func(m bus.Msg) {
		var w removedWire
		if err := json.Unmarshal(m.Data, &w); err != nil {
			g.log.Warn("unreadable removal", "error", err)
			return
		}
		g.closeRemoved(w.Organisation, w.Station)
	})
	if err != nil {
		return err
	}
	g.subs = append(g.subs, sub)
	return nil
}
