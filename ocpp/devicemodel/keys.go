package devicemodel

// Origin is the text that defines a key.
type Origin string

// The texts that define the keys of the table.
const (
	Core          Origin = "OCPP 1.6 §9.1"
	LocalAuthList Origin = "OCPP 1.6 §9.2"
	Reservation   Origin = "OCPP 1.6 §9.3"
	SmartCharging Origin = "OCPP 1.6 §9.4"
	Firmware      Origin = "OCPP 1.6 §8"
	Security      Origin = "Security whitepaper, edition 3"
	SecurityOld   Origin = "Security whitepaper, edition 1"
	PlugAndCharge Origin = "Application note Plug & Charge for 1.6"
	California    Origin = "Application note California pricing for 1.6"
	SignedMeters  Origin = "Application note signed meter values"
)

// Target is a place in the 2.1 device model that a key speaks of.
type Target struct {
	Component Component
	Variable  Variable
	Facet     Facet
	// Follows marks a variable that mirrors the key but does not decide it:
	// it can be read through the key, never written alone.
	Follows bool
}

// Legacy reports whether the target is a key carried as it is.
func (t Target) Legacy() bool { return same(t.Component.Name, LegacyComponent) }

// KeySpec describes one standard key. Each of its targets is a pattern where
// PerConnector is set: the numbers of EVSE and connector are then those found
// in the value or in the key.
type KeySpec struct {
	Key        Key
	Origin     Origin
	Type       Type
	Unit       string // "" where the key has none
	Mutability Mutability
	// Targets lists the variables the key speaks of; the first decides, and
	// those marked as following do not.
	Targets      []Target
	PerConnector bool
	Conversion   string // how values change, "" where they do not
	Loss         string // what does not survive, "" where all does

	rule rule
}

func at(component, variable string) []Target { return in(component, variable, "") }

func in(component, variable, instance string) []Target {
	return []Target{{Component: Component{Name: component}, Variable: Variable{Name: variable, Instance: instance}}}
}

func limit(component, variable, instance string) []Target {
	t := in(component, variable, instance)
	t[0].Facet = MaxLimit
	return t
}

func legacy(key string) []Target { return at(LegacyComponent, key) }

func follow(first []Target, more ...[]Target) []Target {
	for _, m := range more {
		m[0].Follows = true
		first = append(first, m[0])
	}
	return first
}

const (
	lossItems      = "2.1 limits the length of a list in characters (maxLimit), not in items: kept as it is"
	lossMeasurands = "RPM, Temperature and the choice of single phases have no word in 2.1; they are lost when the list is changed there"
	lossInterval   = "2.1 can sample for the end of a transaction at an interval of its own; 1.6 has one interval for both"
	convMeasurands = "phase suffixes are dropped, RPM and Temperature left out, duplicates joined"
	convLimit      = "the key is the maxLimit of the variable; its actual value is unknown to 1.6"
)

// table is the complete list of standard keys. Spellings of components and
// variables are those of the 2.1 appendices, except where a note says so.
var table = []KeySpec{
	// Core profile.
	{Key: "AllowOfflineTxForUnknownId", Origin: Core, Type: Boolean, Targets: at("AuthCtrlr", "OfflineTxForUnknownIdEnabled")},
	{Key: "AuthorizationCacheEnabled", Origin: Core, Type: Boolean, Targets: at("AuthCacheCtrlr", "Enabled")},
	{Key: "AuthorizeRemoteTxRequests", Origin: Core, Type: Boolean, Targets: at("AuthCtrlr", "AuthorizeRemoteStart"),
		Loss: "1.6 lets the station choose whether the key is writable"},
	{Key: "BlinkRepeat", Origin: Core, Type: Integer, Unit: "times", Targets: legacy("BlinkRepeat"), Loss: "no counterpart in 2.1"},
	{Key: "ClockAlignedDataInterval", Origin: Core, Type: Integer, Unit: "s",
		Targets: follow(at("AlignedDataCtrlr", "Interval"), at("AlignedDataCtrlr", "TxEndedInterval")), rule: mirrored{}, Loss: lossInterval},
	{Key: "ConnectionTimeOut", Origin: Core, Type: Integer, Unit: "s", Targets: at("TxCtrlr", "EVConnectionTimeOut")},
	{Key: "ConnectorPhaseRotation", Origin: Core, Type: List, PerConnector: true,
		Targets: append(at("Connector", "PhaseRotation"), at("ElectricalFeed", "PhaseRotation")...), rule: phaseRotation{},
		Conversion: "item n.RST is the variable of connector 1 of EVSE n; item 0 is that of the electrical feed",
		Loss:       "connectors beyond the first of an EVSE cannot be said in 1.6"},
	{Key: "ConnectorPhaseRotationMaxLength", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: legacy("ConnectorPhaseRotationMaxLength"), Loss: lossItems},
	{Key: "GetConfigurationMaxKeys", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: in("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables"),
		Loss: "2.1 has separate limits for reports and for writing; 1.6 writes one key at a time"},
	{Key: "HeartbeatInterval", Origin: Core, Type: Integer, Unit: "s", Targets: at("OCPPCommCtrlr", "HeartbeatInterval")},
	{Key: "LightIntensity", Origin: Core, Type: Integer, Unit: "Percent", Targets: legacy("LightIntensity"),
		Loss: "2.1 has lights as components of their own; which one is meant is not known"},
	{Key: "LocalAuthorizeOffline", Origin: Core, Type: Boolean, Targets: at("AuthCtrlr", "LocalAuthorizeOffline")},
	{Key: "LocalPreAuthorize", Origin: Core, Type: Boolean, Targets: at("AuthCtrlr", "LocalPreAuthorize")},
	{Key: "MaxEnergyOnInvalidId", Origin: Core, Type: Integer, Unit: "Wh", Targets: at("TxCtrlr", "MaxEnergyOnInvalidId")},
	{Key: "MeterValuesAlignedData", Origin: Core, Type: List, Targets: at("AlignedDataCtrlr", "Measurands"), rule: measurands{}, Conversion: convMeasurands, Loss: lossMeasurands},
	{Key: "MeterValuesAlignedDataMaxLength", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: legacy("MeterValuesAlignedDataMaxLength"), Loss: lossItems},
	{Key: "MeterValuesSampledData", Origin: Core, Type: List, Targets: at("SampledDataCtrlr", "TxUpdatedMeasurands"), rule: measurands{}, Conversion: convMeasurands, Loss: lossMeasurands},
	{Key: "MeterValuesSampledDataMaxLength", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: legacy("MeterValuesSampledDataMaxLength"), Loss: lossItems},
	{Key: "MeterValueSampleInterval", Origin: Core, Type: Integer, Unit: "s",
		Targets: follow(at("SampledDataCtrlr", "TxUpdatedInterval"), at("SampledDataCtrlr", "TxEndedInterval")), rule: mirrored{}, Loss: lossInterval},
	{Key: "MinimumStatusDuration", Origin: Core, Type: Integer, Unit: "s", Targets: at("ChargingStation", "MinimumStatusDuration"),
		Loss: "2.1 can set it for each EVSE"},
	{Key: "NumberOfConnectors", Origin: Core, Type: Integer, Mutability: ReadOnly, PerConnector: true, Targets: at("Connector", "Available"), rule: connectorCount{},
		Conversion: "N connectors are connector 1 of EVSE 1 to N, each Available; back, the EVSEs with a connector are counted",
		Loss:       "which connectors share an EVSE"},
	{Key: "ResetRetries", Origin: Core, Type: Integer, Unit: "times", Targets: at("OCPPCommCtrlr", "ResetRetries")},
	{Key: "StopTransactionOnEVSideDisconnect", Origin: Core, Type: Boolean, Targets: at("TxCtrlr", "StopTxOnEVSideDisconnect")},
	{Key: "StopTransactionOnInvalidId", Origin: Core, Type: Boolean, Targets: at("TxCtrlr", "StopTxOnInvalidId")},
	{Key: "StopTxnAlignedData", Origin: Core, Type: List, Targets: at("AlignedDataCtrlr", "TxEndedMeasurands"), rule: measurands{}, Conversion: convMeasurands, Loss: lossMeasurands},
	{Key: "StopTxnAlignedDataMaxLength", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: legacy("StopTxnAlignedDataMaxLength"), Loss: lossItems},
	{Key: "StopTxnSampledData", Origin: Core, Type: List, Targets: at("SampledDataCtrlr", "TxEndedMeasurands"), rule: measurands{}, Conversion: convMeasurands, Loss: lossMeasurands},
	{Key: "StopTxnSampledDataMaxLength", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: legacy("StopTxnSampledDataMaxLength"), Loss: lossItems},
	{Key: "SupportedFeatureProfiles", Origin: Core, Type: List, Mutability: ReadOnly,
		Targets: append(append(at("LocalAuthListCtrlr", "Available"), at("ReservationCtrlr", "Available")...), at("SmartChargingCtrlr", "Available")...), rule: featureProfiles{},
		Conversion: "each of the three optional profiles is the Available of its controller; back, Core, FirmwareManagement and RemoteTrigger are always named, as 2.1 has no switch for them",
		Loss:       "a 1.6 station without FirmwareManagement or RemoteTrigger is known only from the literal key"},
	{Key: "SupportedFeatureProfilesMaxLength", Origin: Core, Type: Integer, Mutability: ReadOnly, Targets: legacy("SupportedFeatureProfilesMaxLength"), Loss: lossItems},
	{Key: "TransactionMessageAttempts", Origin: Core, Type: Integer, Unit: "times", Targets: in("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")},
	{Key: "TransactionMessageRetryInterval", Origin: Core, Type: Integer, Unit: "s", Targets: in("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent")},
	{Key: "UnlockConnectorOnEVSideDisconnect", Origin: Core, Type: Boolean, Targets: at("OCPPCommCtrlr", "UnlockOnEVSideDisconnect")},
	{Key: "WebSocketPingInterval", Origin: Core, Type: Integer, Unit: "s", Targets: at("OCPPCommCtrlr", "WebSocketPingInterval")},

	// Local authorisation list, reservation, smart charging, file transfer.
	{Key: "LocalAuthListEnabled", Origin: LocalAuthList, Type: Boolean, Targets: at("LocalAuthListCtrlr", "Enabled")},
	{Key: "LocalAuthListMaxLength", Origin: LocalAuthList, Type: Integer, Mutability: ReadOnly, Targets: limit("LocalAuthListCtrlr", "Entries", ""), Conversion: convLimit},
	{Key: "SendLocalListMaxLength", Origin: LocalAuthList, Type: Integer, Mutability: ReadOnly, Targets: at("LocalAuthListCtrlr", "ItemsPerMessage")},
	{Key: "ReserveConnectorZeroSupported", Origin: Reservation, Type: Boolean, Mutability: ReadOnly, Targets: at("ReservationCtrlr", "NonEvseSpecific")},
	{Key: "ChargeProfileMaxStackLevel", Origin: SmartCharging, Type: Integer, Mutability: ReadOnly, Targets: at("SmartChargingCtrlr", "ProfileStackLevel")},
	{Key: "ChargingScheduleAllowedChargingRateUnit", Origin: SmartCharging, Type: List, Mutability: ReadOnly, Targets: at("SmartChargingCtrlr", "RateUnit"), rule: rateUnit{},
		Conversion: "Current is A, Power is W"},
	{Key: "ChargingScheduleMaxPeriods", Origin: SmartCharging, Type: Integer, Mutability: ReadOnly, Targets: at("SmartChargingCtrlr", "PeriodsPerSchedule")},
	{Key: "ConnectorSwitch3to1PhaseSupported", Origin: SmartCharging, Type: Boolean, Mutability: ReadOnly, Targets: at("SmartChargingCtrlr", "Phases3to1")},
	{Key: "MaxChargingProfilesInstalled", Origin: SmartCharging, Type: Integer, Mutability: ReadOnly, Targets: limit("SmartChargingCtrlr", "Entries", "ChargingProfiles"), Conversion: convLimit},
	{Key: "SupportedFileTransferProtocols", Origin: Firmware, Type: List, Mutability: ReadOnly, Targets: at("OCPPCommCtrlr", "FileTransferProtocols"), rule: list{},
		Conversion: "blanks between items are dropped"},

	// Security.
	{Key: "AdditionalRootCertificateCheck", Origin: Security, Type: Boolean, Mutability: ReadOnly, Targets: at("SecurityCtrlr", "AdditionalRootCertificateCheck")},
	{Key: "AuthorizationKey", Origin: Security, Type: String, Mutability: WriteOnly, Targets: at("SecurityCtrlr", "BasicAuthPassword"),
		Loss: "1.6 wants 32 to 40 hexadecimal digits, 2.1 any 16 characters or more: a password for both must be hexadecimal. Values pass as they are"},
	{Key: "CertificateSignedMaxChain", Origin: SecurityOld, Type: Integer, Mutability: ReadOnly, Targets: legacy("CertificateSignedMaxChain"),
		Loss: "counts certificates, and was withdrawn by edition 2; 2.1 limits characters"},
	{Key: "CertificateSignedMaxChainSize", Origin: Security, Type: Integer, Unit: "characters", Mutability: ReadOnly, Targets: at("SecurityCtrlr", "MaxCertificateChainSize")},
	{Key: "CertificateStoreMaxLength", Origin: Security, Type: Integer, Mutability: ReadOnly, Targets: limit("SecurityCtrlr", "CertificateEntries", ""), Conversion: convLimit},
	{Key: "CpoName", Origin: Security, Type: String, Targets: at("SecurityCtrlr", "OrganizationName")},
	{Key: "SecurityProfile", Origin: Security, Type: Integer, Targets: at("SecurityCtrlr", "SecurityProfile"),
		Loss: "written in 1.6, read-only in 2.1, where a network profile carries it"},

	// Plug and charge.
	{Key: "CentralContractValidationAllowed", Origin: PlugAndCharge, Type: Boolean, Targets: at("ISO15118Ctrlr", "CentralContractValidationAllowed")},
	{Key: "CertSigningRepeatTimes", Origin: PlugAndCharge, Type: Integer, Unit: "times", Targets: at("SecurityCtrlr", "CertSigningRepeatTimes")},
	{Key: "CertSigningWaitMinimum", Origin: PlugAndCharge, Type: Integer, Unit: "s", Targets: at("SecurityCtrlr", "CertSigningWaitMinimum")},
	{Key: "ContractValidationOffline", Origin: PlugAndCharge, Type: Boolean, Targets: at("ISO15118Ctrlr", "ContractValidationOffline")},
	{Key: "ISO15118PnCEnabled", Origin: PlugAndCharge, Type: Boolean, Targets: at("ISO15118Ctrlr", "PnCEnabled")},
	{Key: "MaxScheduleTuples", Origin: PlugAndCharge, Type: Integer, Mutability: ReadOnly, Targets: at("ISO15118Ctrlr", "MaxScheduleEntries")},

	// California pricing.
	{Key: "CustomDisplayCostAndPrice", Origin: California, Type: Boolean, Mutability: ReadOnly, Targets: in("CustomizationCtrlr", "CustomImplementationEnabled", "org.openchargealliance.costmsg")},
	{Key: "CustomIdleFeeAfterStop", Origin: California, Type: Boolean, Targets: legacy("CustomIdleFeeAfterStop"), Loss: "no counterpart: a 2.1 transaction ends when its stop point says so"},
	{Key: "CustomMultiLanguageMessages", Origin: California, Type: Boolean, Mutability: ReadOnly, Targets: in("CustomizationCtrlr", "CustomImplementationEnabled", "org.openchargealliance.multilanguage")},
	{Key: "DefaultPrice", Origin: California, Type: String,
		Targets: follow(legacy("DefaultPrice"), at("TariffCostCtrlr", "TariffFallbackMessage"), at("TariffCostCtrlr", "OfflineTariffFallbackMessage")), rule: defaultPrice{},
		Conversion: "the texts of the JSON object can be read as fallback messages",
		Loss:       "the object also holds prices, so it is only written as a whole, under " + LegacyComponent},
	{Key: "DefaultPriceText", Origin: California, Type: String, Targets: legacy("DefaultPriceText"),
		Loss: "one key per language (DefaultPriceText,nl), each a JSON object: kept as it is"},
	{Key: "Language", Origin: California, Type: String, Targets: at("DisplayMessageCtrlr", "Language")},
	{Key: "NextTimeOffsetTransitionDateTime", Origin: California, Type: DateTime, Targets: at("ClockCtrlr", "NextTimeOffsetTransitionDateTime")},
	{Key: "NumberOfDecimalsForCostValues", Origin: California, Type: Integer, Mutability: ReadOnly, Targets: at("TariffCostCtrlr", "NumberOfDecimalsForCostValues"),
		Conversion: "the variable is that of the application note for 2.0.1; the appendices do not list it"},
	{Key: "SupportedLanguages", Origin: California, Type: List, Mutability: ReadOnly, rule: list{},
		Targets:    []Target{{Component: Component{Name: "DisplayMessageCtrlr"}, Variable: Variable{Name: "Language"}, Facet: ValuesList}},
		Conversion: "the key is the valuesList of the variable; blanks between items are dropped"},
	{Key: "TimeOffset", Origin: California, Type: String, Targets: at("ClockCtrlr", "TimeOffset")},
	{Key: "TimeOffsetNextTransition", Origin: California, Type: String, Targets: in("ClockCtrlr", "TimeOffset", "NextTransition")},

	// Signed meter values.
	{Key: "AlignedDataSignReadings", Origin: SignedMeters, Type: Boolean, Targets: at("AlignedDataCtrlr", "SignReadings")},
	{Key: "AlignedDataSignUpdatedReadings", Origin: SignedMeters, Type: Boolean, Targets: at("AlignedDataCtrlr", "SignUpdatedReadings")},
	{Key: "MeterPublicKey", Origin: SignedMeters, Type: String, Mutability: ReadOnly, PerConnector: true, Targets: at("FiscalMetering", "PublicKey"),
		Conversion: "MeterPublicKey followed by a number n is the public key of the meter of EVSE n; without a number, that of the station"},
	{Key: "PublicKeyWithSignedMeterValue", Origin: SignedMeters, Type: String, Targets: at("OCPPCommCtrlr", "PublicKeyWithSignedMeterValue")},
	{Key: "SampledDataSignReadings", Origin: SignedMeters, Type: Boolean, Targets: at("SampledDataCtrlr", "SignReadings")},
	{Key: "SampledDataSignStartedReadings", Origin: SignedMeters, Type: Boolean, Targets: at("SampledDataCtrlr", "SignStartedReadings")},
	{Key: "SampledDataSignUpdatedReadings", Origin: SignedMeters, Type: Boolean, Targets: at("SampledDataCtrlr", "SignUpdatedReadings")},
	{Key: "StartTxnSampledData", Origin: SignedMeters, Type: List, Targets: at("SampledDataCtrlr", "TxStartedMeasurands"), rule: measurands{}, Conversion: convMeasurands, Loss: lossMeasurands},
}
