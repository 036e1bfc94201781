package main

import (
	"strings"
	"unicode"
)

// initialisms are written in capitals in Go names.
var initialisms = map[string]string{
	"id": "ID", "url": "URL", "uri": "URI", "csr": "CSR", "evse": "EVSE", "ev": "EV", "ac": "AC", "dc": "DC",
	"ocpp": "OCPP", "ocsp": "OCSP", "crl": "CRL", "vpn": "VPN", "apn": "APN", "der": "DER", "vat": "VAT",
	"iccid": "ICCID", "imsi": "IMSI", "soc": "SoC", "iso15118": "ISO15118", "evses": "EVSEs", "ids": "IDs",
	"emaid": "EMAID", "exi": "EXI", "ftp": "FTP", "http": "HTTP", "https": "HTTPS", "pin": "PIN",
}

// words splits a schema name at case changes and at every character that Go names cannot have.
func words(s string) []string {
	var out []string
	var cur []rune
	flush := func() {
		if len(cur) > 0 {
			out = append(out, string(cur))
			cur = nil
		}
	}
	rs := []rune(s)
	for i, r := range rs {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if unicode.IsUpper(r) && i > 0 {
			prevLower := unicode.IsLower(rs[i-1]) || unicode.IsDigit(rs[i-1])
			nextLower := i+1 < len(rs) && unicode.IsLower(rs[i+1])
			if prevLower || nextLower && unicode.IsUpper(rs[i-1]) {
				flush()
			}
		}
		cur = append(cur, r)
	}
	flush()
	return out
}

// goName turns a schema name into an exported Go name.
func goName(s string) string {
	if n, ok := wholeNames[s]; ok {
		return n
	}
	var b strings.Builder
	for _, w := range words(s) {
		if up, ok := initialisms[strings.ToLower(w)]; ok {
			b.WriteString(up)
			continue
		}
		r := []rune(w)
		b.WriteString(string(unicode.ToUpper(r[0])) + string(r[1:]))
	}
	return b.String()
}

// wholeNames are those that no rule gets right.
var wholeNames = map[string]string{
	"iso15118SchemaVersion": "ISO15118SchemaVersion", "iso15118CertificateHashData": "ISO15118CertificateHashData",
	"Iso15118EVCertificateStatus": "ISO15118EVCertificateStatus", "AFRRSignal": "AFRRSignal",
	"v2xChargingParameters": "V2XChargingParameters", "v2xBaseline": "V2XBaseline",
	"v2xFreqWattCurve": "V2XFreqWattCurve", "v2xSignalWattCurve": "V2XSignalWattCurve",
	"limitAtSoC": "LimitAtSoC", "fixedPFAbsorb": "FixedPFAbsorb", "fixedPFInject": "FixedPFInject",
}

// typeNames renames definitions whose short name would say the wrong thing or be taken.
var typeNames = map[string]string{
	"DataEnumType": "DataType", "ResetEnumType": "ResetType", "UpdateEnumType": "UpdateType",
	"LogEnumType": "LogType", "MonitorEnumType": "MonitorType", "AttributeEnumType": "AttributeType",
	"IdTokenEnumType": "IDTokenType", "VPNEnumType": "VPNType", "CertificateStatusEnumType": "CertificateStatusType",
	"CostDimensionEnumType": "CostDimensionType", "TransactionEventEnumType": "TransactionEventType",
	"MessageTriggerEnumType": "MessageTrigger", "ClearChargingProfileType": "ClearChargingProfile",
}

// typeName is the Go name of a definition.
func typeName(def string) string {
	if n, ok := typeNames[def]; ok {
		return n
	}
	def = strings.TrimSuffix(def, "Type")
	return goName(strings.TrimSuffix(def, "Enum"))
}

// inlineNames names the objects and enums that the schemas of 1.6 write in place: first by message and property, then
// by property alone.
var inlineNames = map[string]string{
	"BootNotificationResponse.status":                        "RegistrationStatus",
	"CancelReservationResponse.status":                       "CancelReservationStatus",
	"ChangeAvailabilityRequest.type":                         "AvailabilityType",
	"ChangeAvailabilityResponse.status":                      "AvailabilityStatus",
	"ChangeConfigurationResponse.status":                     "ConfigurationStatus",
	"ClearCacheResponse.status":                              "ClearCacheStatus",
	"ClearChargingProfileResponse.status":                    "ClearChargingProfileStatus",
	"DataTransferResponse.status":                            "DataTransferStatus",
	"DiagnosticsStatusNotificationRequest.status":            "DiagnosticsStatus",
	"FirmwareStatusNotificationRequest.status":               "FirmwareStatus",
	"GetCompositeScheduleResponse.status":                    "GetCompositeScheduleStatus",
	"RemoteStartTransactionResponse.status":                  "RemoteStartStopStatus",
	"RemoteStopTransactionResponse.status":                   "RemoteStartStopStatus",
	"ReserveNowResponse.status":                              "ReservationStatus",
	"ResetRequest.type":                                      "ResetType",
	"ResetResponse.status":                                   "ResetStatus",
	"SendLocalListRequest.updateType":                        "UpdateType",
	"SendLocalListResponse.status":                           "UpdateStatus",
	"SetChargingProfileResponse.status":                      "ChargingProfileStatus",
	"StatusNotificationRequest.errorCode":                    "ChargePointErrorCode",
	"StatusNotificationRequest.status":                       "ChargePointStatus",
	"StopTransactionRequest.reason":                          "Reason",
	"TriggerMessageRequest.requestedMessage":                 "MessageTrigger",
	"TriggerMessageResponse.status":                          "TriggerMessageStatus",
	"UnlockConnectorResponse.status":                         "UnlockStatus",
	"idTagInfo":                                              "IDTagInfo",
	"IDTagInfo.status":                                       "AuthorizationStatus",
	"chargingSchedule":                                       "ChargingSchedule",
	"chargingSchedulePeriod":                                 "ChargingSchedulePeriod",
	"chargingProfile":                                        "ChargingProfile",
	"csChargingProfiles":                                     "ChargingProfile",
	"chargingRateUnit":                                       "ChargingRateUnit",
	"chargingProfilePurpose":                                 "ChargingProfilePurpose",
	"chargingProfileKind":                                    "ChargingProfileKind",
	"recurrencyKind":                                         "RecurrencyKind",
	"configurationKey":                                       "KeyValue",
	"meterValue":                                             "MeterValue",
	"transactionData":                                        "MeterValue",
	"sampledValue":                                           "SampledValue",
	"context":                                                "ReadingContext",
	"format":                                                 "ValueFormat",
	"measurand":                                              "Measurand",
	"phase":                                                  "Phase",
	"location":                                               "Location",
	"unit":                                                   "UnitOfMeasure",
	"localAuthorizationList":                                 "AuthorizationData",
	"ExtendedTriggerMessageRequest/MessageTrigger":           "ExtendedMessageTrigger",
	"SignedFirmwareStatusNotificationRequest/FirmwareStatus": "SignedFirmwareStatus",
	"SignedUpdateFirmwareResponse/UpdateFirmwareStatus":      "SignedUpdateFirmwareStatus",
}
