package gateway

import "lumela/ocpp"

// Mistrust is called while a BootNotification is answered that does not belong to the station's certificate: the station
// is heard no more. 2.x wants the link closed, OCPP 2.0.1 B01.FR.12; a 1.6 station hears that it is rejected.
func (l *Link) Mistrust(reason string) {
	l.Reject()
	if l.version != ocpp.V16 {
		l.Close(reason)
	}
}
