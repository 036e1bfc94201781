package translate

import (
	"maps"
	"slices"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// row is what the table says of one message.
type row struct {
	kind   Kind
	how    string
	fields []FieldNote
}

func field(in Part, kind Kind, path, text string) FieldNote {
	return FieldNote{In: in, Path: path, Kind: kind, Text: text}
}

// tableCSMS16 tells what becomes of what management systems say between 1.6 and 2.1.
func tableCSMS16() []Entry {
	var all []Entry
	add := func(direction Direction, rows map[string]row) {
		for _, action := range slices.Sorted(maps.Keys(rows)) {
			r := rows[action]
			if r.kind == "" {
				r.kind = Same
			}
			e := Entry{Version: ocpp.V16, From: ocpp.CSMS, Action: action, Direction: direction, Kind: r.kind, How: r.how, Fields: r.fields}
			if direction == Down && r.kind != Refused {
				e.Fields = append(e.Fields, field(InRequest, Lost, "customData", "1.6 has no vendor extensions"))
			}
			if direction == Up {
				e.Fields = append(e.Fields, field(InResponse, Lost, "customData", "1.6 has no vendor extensions"),
					field(InResponse, Lost, "statusInfo", "1.6 gives no reasons"))
			}
			all = append(all, e)
		}
	}
	add(Up, liftRows())
	lower := lowerRows()
	for action, why := range noCounterpart16 {
		lower[action] = row{kind: Refused, how: why}
	}
	add(Down, lower)
	return all
}

// tokenRows tells what an IdToken loses; path is its place.
func tokenRows(path string) []FieldNote {
	return []FieldNote{
		field(InRequest, Refused, path+".idToken", "an idTag of 1.6 has 1 to 20 characters"),
		field(InRequest, Lost, path+".type", "an idTag of 1.6 has no type"),
		field(InRequest, Lost, path+".additionalInfo", "an idTag of 1.6 carries nothing but itself"),
	}
}

// profileRows tells what a charging profile of 2.1 loses; path is its place.
func profileRows(path string) []FieldNote {
	schedule := path + ".chargingSchedule[]"
	period := schedule + ".chargingSchedulePeriod[]"
	rows := []FieldNote{
		field(InRequest, Refused, path+".chargingProfilePurpose", "1.6 has ChargePointMaxProfile, TxDefaultProfile and TxProfile only; a remote start takes a TxProfile only"),
		field(InRequest, Refused, path+".chargingProfileKind", "1.6 has no dynamic profiles"),
		field(InRequest, Refused, path+".transactionId", "no 1.6 transaction is known by this id"),
		field(InRequest, Lost, path+".maxOfflineDuration", "in 1.6 a profile stays in force while the station is offline"),
		field(InRequest, Lost, path+".invalidAfterOfflineDuration", "in 1.6 a profile stays in force while the station is offline"),
		field(InRequest, Lost, path+".dynUpdateInterval", "1.6 has no dynamic profiles"),
		field(InRequest, Lost, path+".dynUpdateTime", "1.6 has no dynamic profiles"),
		field(InRequest, Lost, path+".priceScheduleSignature", "1.6 has no price schedules"),
		field(InRequest, Lost, schedule, "a profile of 1.6 has one schedule, the first"),
		field(InRequest, Lost, schedule+".id", "a schedule of 1.6 has no id"),
		field(InRequest, Refused, schedule+".limitAtSoC", "1.6 cannot limit by state of charge"),
		field(InRequest, Refused, schedule+".useLocalTime", "schedules of 1.6 are in UTC"),
		field(InRequest, Lost, schedule+".useLocalTime", "false is all that 1.6 knows"),
		field(InRequest, Emulated, schedule+".minChargingRate", "rounded down to one digit after the point"),
		field(InRequest, Emulated, period+".limit", "rounded down to one digit after the point"),
		field(InRequest, Refused, period+".limit", "a period of 1.6 needs a limit"),
		field(InRequest, Emulated, period+".limit_L2", "1.6 has one limit for all phases: the lowest"),
		field(InRequest, Emulated, period+".limit_L3", "1.6 has one limit for all phases: the lowest"),
		field(InRequest, Lost, period+".operationMode", "charging only is all that 1.6 knows"),
	}
	for _, name := range []string{"powerTolerance", "signatureId", "digestValue", "randomizedDelay", "salesTariff", "absolutePriceSchedule", "priceLevelSchedule"} {
		rows = append(rows, field(InRequest, Lost, schedule+"."+name, "a schedule of 1.6 has no such field"))
	}
	for _, name := range []string{"phaseToUse", "preconditioningRequest", "evseSleep"} {
		rows = append(rows, field(InRequest, Lost, period+"."+name, "a period of 1.6 has no such field"))
	}
	for _, name := range []string{
		"operationMode", "dischargeLimit", "dischargeLimit_L2", "dischargeLimit_L3", "setpoint", "setpoint_L2", "setpoint_L3",
		"setpointReactive", "setpointReactive_L2", "setpointReactive_L3", "v2xBaseline", "v2xFreqWattCurve", "v2xSignalWattCurve",
	} {
		rows = append(rows, field(InRequest, Refused, period+"."+name, "1.6 can only limit charging"))
	}
	return rows
}

// lowerRows tells of the requests of 2.1 that a 1.6 station can be asked.
func lowerRows() map[string]row {
	rows := map[string]row{
		v21.ActionRequestStartTransaction: {how: "RemoteStartTransaction", fields: slices.Concat(tokenRows("idToken"), profileRows("chargingProfile"), []FieldNote{
			field(InRequest, Lost, "groupIdToken", "RemoteStartTransaction of 1.6 has no parent tag"),
			field(InRequest, Emulated, "remoteStartId", "kept here and given back with the start of the transaction for this idTag"),
		})},
		v21.ActionRequestStopTransaction: {how: "RemoteStopTransaction with the number of the transaction; an unknown one is Rejected"},
		v21.ActionReset: {fields: []FieldNote{
			field(InRequest, Refused, "evseId", "1.6 resets the station as a whole"),
			field(InRequest, Refused, "type", "1.6 does not resume transactions after a reset (ImmediateAndResume)"),
			field(InRequest, Emulated, "type", "OnIdle is a soft reset, which ends running transactions in good order and does not wait for them"),
		}},
		v21.ActionChangeAvailability: {fields: []FieldNote{
			field(InRequest, Refused, "evse.connectorId", "1.6 knows one connector for each EVSE"),
			field(InRequest, Emulated, "evse.connectorId", "connector and EVSE are one in 1.6"),
		}},
		v21.ActionUnlockConnector: {fields: []FieldNote{
			field(InRequest, Emulated, "connectorId", "connector and EVSE are one in 1.6; any but connector 1 is unknown"),
			field(InRequest, Emulated, "evseId", "1.6 ends a running transaction before it unlocks, where 2.1 would not unlock"),
		}},
		v21.ActionClearCache: {},
		v21.ActionTriggerMessage: {how: "TriggerMessage, or ExtendedTriggerMessage where only that knows the message; SignV2GCertificate by DataTransfer of Plug & Charge", fields: []FieldNote{
			field(InRequest, Refused, "evse.connectorId", "1.6 knows one connector for each EVSE"),
			field(InRequest, Emulated, "evse.connectorId", "connector and EVSE are one in 1.6"),
			field(InRequest, Lost, "evse", "a message that concerns the station as a whole"),
			field(InRequest, Lost, "customTrigger", "1.6 has no triggers of a vendor's own"),
			field(InRequest, Emulated, "requestedMessage", "TransactionEvent is asked for as MeterValues; LogStatusNotification as DiagnosticsStatusNotification where the security extension is missing"),
			field(InRequest, Refused, "requestedMessage", "what 1.6 cannot be asked for is answered NotImplemented"),
		}},
		v21.ActionGetLocalListVersion: {},
		v21.ActionSendLocalList: {fields: slices.Concat(tokenRows("localAuthorizationList[].idToken"), tokenRows("localAuthorizationList[].idTokenInfo.groupIdToken"), []FieldNote{
			field(InRequest, Refused, "localAuthorizationList[].idToken", "tokens that differ only by type would be one idTag"),
			field(InRequest, Emulated, "localAuthorizationList[].idTokenInfo.status", "Unknown is Invalid; what 1.6 has no word for is Blocked"),
			field(InRequest, Emulated, "localAuthorizationList[].idTokenInfo.evseId", "a token for some EVSEs only is listed as Blocked, so that the management system is asked"),
			field(InRequest, Lost, "localAuthorizationList[].idTokenInfo.chargingPriority", "1.6 has no priorities"),
			field(InRequest, Lost, "localAuthorizationList[].idTokenInfo.language1", "1.6 does not know the language of a driver"),
			field(InRequest, Lost, "localAuthorizationList[].idTokenInfo.language2", "1.6 does not know the language of a driver"),
			field(InRequest, Lost, "localAuthorizationList[].idTokenInfo.personalMessage", "1.6 has no messages to drivers"),
		})},
		v21.ActionReserveNow: {fields: slices.Concat(tokenRows("idToken"), tokenRows("groupIdToken"), []FieldNote{
			field(InRequest, Refused, "connectorType", "1.6 cannot reserve by type of connector"),
		})},
		v21.ActionCancelReservation:    {},
		v21.ActionGetTransactionStatus: {kind: Emulated, how: "answered from what is known here: 1.6 cannot be asked what a station still has to send, so that messagesInQueue is always true"},
	}
	maps.Copy(rows, lowerProfileRows())
	maps.Copy(rows, lowerModelRows())
	maps.Copy(rows, lowerFileRows())
	return rows
}

func lowerProfileRows() map[string]row {
	return map[string]row{
		v21.ActionSetChargingProfile: {fields: profileRows("chargingProfile")},
		v21.ActionClearChargingProfile: {fields: []FieldNote{
			field(InRequest, Lost, "chargingProfileCriteria", "the id alone says which profile; a purpose that 1.6 does not have is Unknown"),
		}},
		v21.ActionGetChargingProfiles: {kind: Emulated, how: "answered from the profiles that the station accepted over this link: 1.6 cannot be asked for them"},
		v21.ActionGetCompositeSchedule: {fields: []FieldNote{
			field(InResponse, Emulated, "scheduleStart", "where it is missing: the time of the answer"),
			field(InResponse, Lost, "chargingSchedule", "a schedule without a period cannot be said"),
			field(InResponse, Lost, "chargingSchedule.minChargingRate", "a composite schedule of 2.1 has no minimum"),
			field(InResponse, Lost, "chargingSchedule.chargingSchedulePeriod[].numberPhases", "2.1 knows 0 to 3 phases"),
		}},
	}
}

func lowerModelRows() map[string]row {
	lostKey := field(InResponse, Lost, "configurationKey", "a key without a name, or with a value of more than 2500 characters")
	return map[string]row{
		v21.ActionGetVariables: {kind: Emulated, how: "GetConfiguration for the keys that stand for the variables; a variable without a key is unknown"},
		v21.ActionSetVariables: {kind: Emulated, how: "ChangeConfiguration for each key; a variable without a key is unknown"},
		v21.ActionGetBaseReport: {kind: Emulated, how: "GetConfiguration of all keys, followed by NotifyReport", fields: []FieldNote{
			field(InRequest, Refused, "reportBase", "no key speaks of what a summary is about: answered NotSupported"), lostKey,
		}},
		v21.ActionGetReport: {kind: Emulated, how: "GetConfiguration of all keys, followed by NotifyReport", fields: []FieldNote{
			field(InRequest, Refused, "componentCriteria", "no key speaks of components that are active or have a problem: answered NotSupported"), lostKey,
		}},
	}
}

func lowerFileRows() map[string]row {
	pnc := "; that of Plug & Charge by DataTransfer"
	return map[string]row{
		v21.ActionGetLog: {how: "GetLog of the security extension, GetDiagnostics where a station does not have it", fields: []FieldNote{
			field(InRequest, Refused, "logType", "1.6 has no data collector, and no security log without the security extension"),
			field(InRequest, Refused, "log.remoteLocation", "GetLog of 1.6 takes 512 characters"),
		}},
		v21.ActionUpdateFirmware: {how: "SignedUpdateFirmware with a signature and its certificate, else UpdateFirmware", fields: []FieldNote{
			field(InRequest, Refused, "firmware.signature", "without the security extension signatures are not checked"),
			field(InRequest, Refused, "firmware.location", "SignedUpdateFirmware of 1.6 takes 512 characters"),
			field(InRequest, Lost, "firmware.installDateTime", "an unsigned update of 1.6 is installed when it is there"),
			field(InRequest, Lost, "firmware.signature", "of no use without the certificate"),
			field(InRequest, Lost, "firmware.signingCertificate", "of no use without the signature"),
			field(InRequest, Emulated, "requestId", "kept here and given back with the reports about the update"),
		}},
		v21.ActionCertificateSigned: {how: "CertificateSigned of the security extension" + pnc, fields: []FieldNote{
			field(InRequest, Lost, "requestId", "1.6 does not number requests for a certificate"),
			field(InRequest, Refused, "certificateType", "1.6 knows ISO 15118-2 only"),
		}},
		v21.ActionInstallCertificate: {how: "InstallCertificate of the security extension" + pnc, fields: []FieldNote{
			field(InRequest, Refused, "certificate", "1.6 takes certificates of 5500 characters"),
			field(InRequest, Refused, "certificateType", "1.6 has no root certificates of vehicle makers"),
		}},
		v21.ActionDeleteCertificate: {how: "DeleteCertificate of the security extension, then that of Plug & Charge by DataTransfer where it was not found"},
		v21.ActionGetInstalledCertificateIds: {how: "GetInstalledCertificateIds of the security extension for each type" + pnc, fields: []FieldNote{
			field(InRequest, Lost, "certificateType", "1.6 has no root certificates of vehicle makers"),
			field(InResponse, Lost, "certificateHashDataChain", "the certificates of a kind that the station cannot list"),
		}},
		v21.ActionDataTransfer: {fields: []FieldNote{field(InRequest, Emulated, "data", "data of 1.6 are text: JSON goes as text")}},
		v21.ActionCostUpdated: {kind: Emulated, how: "DataTransfer RunningCost of the California pricing note", fields: []FieldNote{
			field(InRequest, Emulated, "totalCost", "without customData of the pricing note: without meterValue and prices"),
			field(InRequest, Refused, "transactionId", "no 1.6 transaction is known by this id"),
		}},
	}
}

// liftRows tells of the requests of a 1.6 management system.
func liftRows() map[string]row {
	connector := field(InRequest, Refused, "connectorId", "a connector below 0")
	untyped := func(path string) FieldNote {
		return field(InRequest, Emulated, path, "an idTag of 1.6 has no type: ISO14443 where it looks like the number of a card, else Central")
	}
	retries := field(InRequest, Lost, "retries", "a number below 0")
	trigger := []FieldNote{
		connector, field(InRequest, Emulated, "connectorId", "connector 1 of this EVSE, for StatusNotification"),
		field(InRequest, Lost, "connectorId", "0 is the station, of which 2.1 speaks by naming no EVSE"),
		field(InRequest, Emulated, "requestedMessage", "StatusNotification without a connector is asked of each EVSE; DiagnosticsStatusNotification is LogStatusNotification"),
	}
	profile := func(path string) []FieldNote {
		return []FieldNote{
			connector,
			field(InRequest, Refused, path+".stackLevel", "a level below 0"),
			field(InRequest, Refused, path+".chargingSchedule.chargingSchedulePeriod", "2.1 takes 1 to 1024 periods"),
			field(InRequest, Lost, path+".chargingSchedule.chargingSchedulePeriod[].numberPhases", "2.1 knows 0 to 3 phases"),
		}
	}
	rows := map[string]row{
		v16.ActionRemoteStartTransaction: {how: "RequestStartTransaction", fields: append(profile("chargingProfile"), untyped("idTag"),
			field(InRequest, Refused, "chargingProfile.chargingProfilePurpose", "a remote start takes a TxProfile only"),
			field(InRequest, Lost, "connectorId", "0 is no connector: the station chooses one"),
			field(InRequest, Lost, "chargingProfile.transactionId", "the transaction begins only now"),
			field(InResponse, Lost, "transactionId", "1.6 learns of the transaction by its StartTransaction"))},
		v16.ActionRemoteStopTransaction: {how: "RequestStopTransaction"},
		v16.ActionReset: {fields: []FieldNote{
			field(InRequest, Emulated, "type", "a 2.1 station waits for the end of transactions, where a soft reset of 1.6 ends them"),
			field(InResponse, Emulated, "status", "1.6 says Accepted for Scheduled"),
		}},
		v16.ActionChangeAvailability: {fields: []FieldNote{connector}},
		v16.ActionUnlockConnector: {fields: []FieldNote{
			field(InRequest, Emulated, "connectorId", "connector 1 of this EVSE"),
			field(InResponse, Emulated, "status", "1.6 says UnlockFailed where a transaction is running, NotSupported for an unknown connector"),
		}},
		v16.ActionClearCache:       {},
		v16.ActionGetConfiguration: {kind: Emulated, how: "answered from what the station told of its variables, else by GetVariables for those that stand for the keys"},
		v16.ActionChangeConfiguration: {kind: Emulated, how: "SetVariables of the variables that stand for the key; a key of the vendor's own is a variable of LegacyConfiguration", fields: []FieldNote{
			field(InRequest, Lost, "value", "what the variables of 2.1 do not say"),
			field(InResponse, Lost, "value", "a variable that follows the key was not changed with it"),
		}},
		v16.ActionTriggerMessage:         {fields: trigger},
		v16.ActionExtendedTriggerMessage: {how: "TriggerMessage", fields: trigger},
		v16.ActionGetLocalListVersion:    {},
		v16.ActionSendLocalList:          {fields: []FieldNote{untyped("localAuthorizationList[].idTag")}},
		v16.ActionReserveNow: {fields: []FieldNote{
			untyped("idTag"), connector, field(InRequest, Refused, "reservationId", "a number below 0"),
		}},
		v16.ActionCancelReservation: {},
		v16.ActionSetChargingProfile: {fields: append(profile("csChargingProfiles"),
			field(InRequest, Emulated, "csChargingProfiles.transactionId", "where it is missing: the transaction that runs on the connector"))},
		v16.ActionClearChargingProfile: {fields: []FieldNote{
			field(InRequest, Lost, "connectorId", "with an id: the id alone says which profile"),
			field(InRequest, Lost, "chargingProfilePurpose", "with an id: the id alone says which profile"),
			field(InRequest, Lost, "stackLevel", "with an id: the id alone says which profile"),
		}},
		v16.ActionGetCompositeSchedule: {fields: compositeRows(connector)},
	}
	maps.Copy(rows, liftFileRows(retries))
	return rows
}

func compositeRows(connector FieldNote) []FieldNote {
	period := "schedule.chargingSchedulePeriod[]"
	rows := []FieldNote{
		connector,
		field(InResponse, Lost, "schedule", "a schedule that does more than limit charging cannot be said: answered Rejected"),
		field(InResponse, Emulated, period+".limit", "rounded down to one digit after the point"),
		field(InResponse, Emulated, period+".limit_L2", "1.6 has one limit for all phases: the lowest"),
		field(InResponse, Emulated, period+".limit_L3", "1.6 has one limit for all phases: the lowest"),
	}
	for _, name := range []string{"phaseToUse", "preconditioningRequest", "evseSleep", "operationMode"} {
		rows = append(rows, field(InResponse, Lost, period+"."+name, "a period of 1.6 has no such field"))
	}
	return rows
}

func liftFileRows(retries FieldNote) map[string]row {
	location := field(InRequest, Refused, "location", "2.1 takes 2000 characters")
	return map[string]row{
		v16.ActionGetDiagnostics: {how: "GetLog of the diagnostics", fields: []FieldNote{
			location, retries,
			field(InResponse, Emulated, "status", "1.6 says Rejected by leaving out the file name"),
			field(InResponse, Lost, "status", "an upload that was accepted without a name of the file"),
		}},
		v16.ActionGetLog: {fields: []FieldNote{retries}},
		v16.ActionUpdateFirmware: {fields: []FieldNote{
			location, retries,
			field(InResponse, Emulated, "status", "1.6 cannot refuse an update: a refusal is reported as DownloadFailed"),
		}},
		v16.ActionSignedUpdateFirmware: {how: "UpdateFirmware", fields: []FieldNote{retries}},
		v16.ActionCertificateSigned:    {},
		v16.ActionInstallCertificate:   {},
		v16.ActionDeleteCertificate:    {},
		v16.ActionGetInstalledCertificateIds: {fields: []FieldNote{
			field(InResponse, Lost, "certificateHashDataChain", "certificates of another type than was asked for"),
			field(InResponse, Lost, "certificateHashDataChain.childCertificateHashData", "1.6 lists single certificates"),
		}},
		v16.ActionDataTransfer: {how: "messages of Plug & Charge and of the California pricing note become those of 2.1: certificates, CostUpdated, SetDisplayMessage", fields: []FieldNote{
			field(InRequest, Emulated, "data", "costs by CostUpdated, a price for a token by a message on the display for two minutes"),
			field(InRequest, Emulated, "data.priceText", "a message on the display for two minutes"),
			field(InRequest, Lost, "data.priceText", "cut at 1024 characters"),
			field(InRequest, Lost, "data.priceTextExtra", "cut at 1024 characters; 2.1 takes four more languages"),
			field(InRequest, Lost, "data.qrCodeText", "cut at 1024 characters; 2.1 takes four more texts"),
			field(InRequest, Refused, "data", "data that are not what the note says"),
			field(InRequest, Refused, "data.transactionId", "not the number of a transaction"),
			field(InRequest, Refused, "data.cost", "not a number"),
			field(InResponse, Lost, "data.priceText", "the station does not show it"),
		}},
	}
}
