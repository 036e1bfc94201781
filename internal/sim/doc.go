// Package sim is virtual charging stations that behave as hardware does: cars are plugged in, tokens presented,
// contactors closed, batteries filled and meters advanced, and every version of OCPP is spoken natively.
//
// One physical core (EVSEs, meters, cars, limits, settings, profiles) has two fronts: one for OCPP 1.6, one for 2.1
// that also serves 2.0.1, whose messages are structural copies. No front uses the translation of this product, so that
// a wrong translation cannot hide by being its own inverse.
//
// A station that waits costs one goroutine, the one that reads its link. All timers of a process live in one
// [Scheduler]; messages are sent by a goroutine that exists only while there is something to send.
package sim
