package translate

import (
	"strconv"
	"strings"
)

// The facts that a dialogue with a 1.6 end keeps in State. Whoever translates the command writes it, whoever
// translates the notifications that follow reads it.
const (
	// keySignRequest is the requestId of the last SignCertificate.
	keySignRequest = "sign/request"
	// keyLogByDiagnostics is set while the upload under way was asked for with a 1.6 GetDiagnostics.
	keyLogByDiagnostics = "log/diagnostics"
	// keyEventID counts the events that stand for what 1.6 reports in other ways.
	keyEventID = "event/id"
)

// remoteStartKey is where the remoteStartId of a RequestStartTransaction for a token is, in decimal, until the
// transaction begins. Identifier strings have no case.
func remoteStartKey(idTag string) string { return keyRemoteStart + strings.ToLower(idTag) }

// keyRemoteStop is set while a RequestStopTransaction for a transaction id is accepted and not yet carried out.
func keyRemoteStop(transactionID string) string { return "remotestop/" + transactionID }

// keyStatus is the last status of a 1.6 connector.
func keyStatus(connector int) string { return "status/" + strconv.Itoa(connector) }

// keyProblem is the last problem of a 1.6 connector: its errorCode and vendorErrorCode with a blank between.
func keyProblem(connector int) string { return "problem/" + strconv.Itoa(connector) }

// keyChargingState is the last charging state of a connector's transaction, after the transaction id and a blank.
func keyChargingState(connector int) string { return "chargingstate/" + strconv.Itoa(connector) }

// keyUncounted is the transaction of an EVSE whose beginning this memory has not seen.
func keyUncounted(evse int) string { return "uncounted/" + strconv.Itoa(evse) }

// keyTag is the idTag with which the running transaction of a connector began.
func keyTag(connector int) string { return "tag/" + strconv.Itoa(connector) }

// keyWaiting holds a 2.1 transaction that 1.6 was not told yet, because nobody is authorised: see waiting.
func keyWaiting(transactionID string) string { return "lower/waiting/" + transactionID }

// keyDetail is the 1.6 status that the transaction on an EVSE gives its connector while it is occupied.
func keyDetail(evse int) string { return "lower/detail/" + strconv.Itoa(evse) }

// keyConnector is the last 2.1 status of one connector of an EVSE.
func keyConnector(evse, connector int) string {
	return "lower/connector/" + strconv.Itoa(evse) + "/" + strconv.Itoa(connector)
}

// keySaid is the last status that 1.6 was told of a connector.
func keySaid(connector int) string { return "lower/said/" + strconv.Itoa(connector) }

// keyRegister is the last reading of the energy register of an EVSE, in Wh.
func keyRegister(evse int) string { return "lower/register/" + strconv.Itoa(evse) }

// nextNumber counts under a key from 1.
func (t *talk) nextNumber(key string) int {
	n, err := strconv.Atoi(t.d.State.Get(key))
	if err != nil || n < 0 || n >= 1<<31-1 {
		n = 0 // nothing was counted yet, or the count is used up
	}
	n++
	t.d.State.Put(key, strconv.Itoa(n))
	return n
}

// number reads a fact that is a number.
func (t *talk) number(key string) (int, bool) {
	n, err := strconv.Atoi(t.d.State.Get(key))
	return n, err == nil
}
