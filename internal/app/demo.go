package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"lumela/internal/account"
	"lumela/internal/idtoken"
	"lumela/internal/problem"
	"lumela/internal/sim"
	"lumela/internal/station"
)

// demoPrefix begins the ids of the demonstration's stations, demoToken is what their drivers present.
const (
	demoPrefix = "DEMO-"
	demoToken  = "DEMO"
)

// demonstrate runs virtual stations inside the process. They are ordinary stations with passwords.
func (n *node) demonstrate(ctx context.Context, addr net.Addr) {
	if err := n.runDemo(ctx, addr); err != nil && ctx.Err() == nil {
		n.log.Error("demonstration ended", "error", err)
	}
}

func (n *node) runDemo(ctx context.Context, addr net.Addr) error {
	home, err := n.accounts.FirstOrganisation(ctx)
	if err != nil {
		return err
	}
	err = n.tokens.Add(ctx, home.ID, &idtoken.Token{UID: demoToken, Status: idtoken.Active, Note: "Drivers of the demonstration"})
	if err != nil && !problem.Is(err, problem.Conflict) {
		return fmt.Errorf("make the demonstration's token: %w", err)
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return err
	}
	password := station.NewPassword()
	fleet, err := sim.NewFleet(sim.FleetConfig{Count: n.cfg.Demo, IDPrefix: demoPrefix, DCEvery: 4, Ramp: 2 * time.Second, Station: sim.Config{
		URL: "ws://127.0.0.1:" + port + "/ocpp", Vendor: "Lumela", Model: "Virtual", EVSEs: 2, Password: password, Tokens: []string{demoToken}, Log: n.log,
		Behaviour: sim.Behaviour{Auto: true, SessionEvery: time.Minute, FirstWithin: 12 * time.Second, SessionLength: 12 * time.Minute, MeterInterval: 10 * time.Second}}})
	if err != nil {
		return fmt.Errorf("make the virtual stations: %w", err)
	}
	for i := range fleet.Stations {
		if err := n.enrol(ctx, home, station.ID(fmt.Sprintf("%s%06d", demoPrefix, i+1)), password); err != nil {
			return err
		}
	}
	return fleet.Run(ctx)
}

// enrol makes a station known with the password of this start.
func (n *node) enrol(ctx context.Context, home account.Organisation, id station.ID, password string) error {
	if err := n.stations.Enrol(ctx, home.ID, id, password); err != nil {
		return fmt.Errorf("enrol %s: %w", id, err)
	}
	return nil
}
