package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a setting's value.
type kind uint8

const (
	kindInt kind = iota
	kindBool
	kindString
	kindOption // one of the allowed words
	kindList   // some of the allowed words, comma-separated
)

// setting is an index of the table of settings.
type setting int

const (
	setHeartbeat setting = iota
	setPing
	setConnectTimeout
	setMeterInterval
	setEndedInterval
	setAlignedInterval
	setSampled
	setSampledStarted
	setSampledEnded
	setAligned
	setEndedAligned
	setLocalPreAuthorize
	setAuthorizeOffline
	setOfflineUnknown
	setAuthCache
	setAuthCacheLife
	setListEnabled
	setListMax
	setListSend
	setListEntries
	setStopOnUnplug
	setStopOnInvalid
	setMaxEnergyInvalid
	setUnlockOnUnplug
	setMinStatus
	setMessageAttempts
	setMessageInterval
	setMessageTimeout
	setResetRetries
	setRemoteAuthorize
	setConnectors
	setEVSECount
	setPhaseRotation
	setFeatureProfiles
	setGetConfigMax
	setMaxStack
	setRateUnit
	setMaxPeriods
	setMaxProfiles
	setPhaseSwitch
	setReserveZero
	setReserveSupported
	setSecurityProfile
	setOrganization
	setPassword
	setCertMax
	setCertChain
	setCertWait
	setCertRepeat
	setBackOffMin
	setBackOffRandom
	setBackOffRepeat
	setTxStart
	setTxStop
	setAuthEnabled
	setDisplayEnabled
	setDisplayFormats
	setDisplayPriorities
	setDisplayMax
	setReportItems
	setReportBytes
	setGetVarItems
	setSetVarItems
	setMonitoringEnabled
	setMonitoringBase
	setMonitoringLevel
	setOfflineThreshold
	setSampledEnabled
	setAlignedEnabled
	setTimeSource
	setTimeOffset
	setNetworkPriority
	setNetworkActive
	setFileProtocols
	setTariffEnabled
	setTariffCurrency
	setTxBeforeAccepted
	setLightIntensity
	setBlinkRepeat
	setStopMaxMeter
	settingCount
)

// settingSpec names one setting in both device models and bounds its values.
type settingSpec struct {
	key                      string // of 1.6; "" where that has none
	comp, variable, instance string // of 2.x; "" where that has none
	kind                     kind
	def                      string
	readOnly, writeOnly      bool
	reboot                   bool // a change takes effect at the next boot
	min, max                 int
	allowed                  []string
	unit                     string
	only21                   bool
}

var measurandWords = []string{"Energy.Active.Import.Register", "Power.Active.Import", "Current.Import", "Voltage",
	"SoC", "Current.Offered", "Power.Offered", "Frequency"}

const (
	sampledDefault = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC"
	big            = 1 << 30
)

var startPoints = []string{"EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer"}

// settings is the table of both versions; the index is the setting.
var settings = [settingCount]settingSpec{
	setHeartbeat:         {key: "HeartbeatInterval", comp: "OCPPCommCtrlr", variable: "HeartbeatInterval", def: "300", min: 1, max: big, unit: "s"},
	setPing:              {key: "WebSocketPingInterval", comp: "OCPPCommCtrlr", variable: "WebSocketPingInterval", def: "60", max: 86400, unit: "s"},
	setConnectTimeout:    {key: "ConnectionTimeOut", comp: "TxCtrlr", variable: "EVConnectionTimeOut", def: "60", min: 1, max: 86400, unit: "s"},
	setMeterInterval:     {key: "MeterValueSampleInterval", comp: "SampledDataCtrlr", variable: "TxUpdatedInterval", def: "60", max: 86400, unit: "s"},
	setEndedInterval:     {comp: "SampledDataCtrlr", variable: "TxEndedInterval", def: "0", max: 86400, unit: "s"},
	setAlignedInterval:   {key: "ClockAlignedDataInterval", comp: "AlignedDataCtrlr", variable: "Interval", def: "900", max: 86400, unit: "s"},
	setSampled:           {key: "MeterValuesSampledData", comp: "SampledDataCtrlr", variable: "TxUpdatedMeasurands", kind: kindList, def: sampledDefault, allowed: measurandWords},
	setSampledStarted:    {comp: "SampledDataCtrlr", variable: "TxStartedMeasurands", kind: kindList, def: "Energy.Active.Import.Register", allowed: measurandWords},
	setSampledEnded:      {key: "StopTxnSampledData", comp: "SampledDataCtrlr", variable: "TxEndedMeasurands", kind: kindList, def: "Energy.Active.Import.Register", allowed: measurandWords},
	setAligned:           {key: "MeterValuesAlignedData", comp: "AlignedDataCtrlr", variable: "Measurands", kind: kindList, def: "Energy.Active.Import.Register", allowed: measurandWords},
	setEndedAligned:      {key: "StopTxnAlignedData", comp: "AlignedDataCtrlr", variable: "TxEndedMeasurands", kind: kindList, def: "", allowed: measurandWords},
	setLocalPreAuthorize: {key: "LocalPreAuthorize", comp: "AuthCtrlr", variable: "LocalPreAuthorize", kind: kindBool, def: "false"},
	setAuthorizeOffline:  {key: "LocalAuthorizeOffline", comp: "AuthCtrlr", variable: "LocalAuthorizeOffline", kind: kindBool, def: "true"},
	setOfflineUnknown:    {key: "AllowOfflineTxForUnknownId", comp: "AuthCtrlr", variable: "OfflineTxForUnknownIdEnabled", kind: kindBool, def: "false"},
	setAuthCache:         {key: "AuthorizationCacheEnabled", comp: "AuthCacheCtrlr", variable: "Enabled", kind: kindBool, def: "true"},
	setAuthCacheLife:     {comp: "AuthCacheCtrlr", variable: "LifeTime", def: "86400", max: big, unit: "s"},
	setListEnabled:       {key: "LocalAuthListEnabled", comp: "LocalAuthListCtrlr", variable: "Enabled", kind: kindBool, def: "true"},
	setListMax:           {key: "LocalAuthListMaxLength", readOnly: true, def: "1000"},
	setListSend:          {key: "SendLocalListMaxLength", comp: "LocalAuthListCtrlr", variable: "ItemsPerMessage", readOnly: true, def: "100"},
	setListEntries:       {comp: "LocalAuthListCtrlr", variable: "Entries", readOnly: true, def: "0", max: 1000},
	setStopOnUnplug:      {key: "StopTransactionOnEVSideDisconnect", comp: "TxCtrlr", variable: "StopTxOnEVSideDisconnect", kind: kindBool, def: "true"},
	setStopOnInvalid:     {key: "StopTransactionOnInvalidId", comp: "TxCtrlr", variable: "StopTxOnInvalidId", kind: kindBool, def: "true"},
	setMaxEnergyInvalid:  {key: "MaxEnergyOnInvalidId", comp: "TxCtrlr", variable: "MaxEnergyOnInvalidId", def: "0", max: big, unit: "Wh"},
	setUnlockOnUnplug:    {key: "UnlockConnectorOnEVSideDisconnect", comp: "OCPPCommCtrlr", variable: "UnlockOnEVSideDisconnect", kind: kindBool, def: "true"},
	setMinStatus:         {key: "MinimumStatusDuration", def: "0", max: 3600, unit: "s"},
	setMessageAttempts:   {key: "TransactionMessageAttempts", comp: "OCPPCommCtrlr", variable: "MessageAttempts", instance: "TransactionEvent", def: "3", min: 1, max: 100},
	setMessageInterval:   {key: "TransactionMessageRetryInterval", comp: "OCPPCommCtrlr", variable: "MessageAttemptInterval", instance: "TransactionEvent", def: "10", max: 86400, unit: "s"},
	setMessageTimeout:    {comp: "OCPPCommCtrlr", variable: "MessageTimeout", instance: "Default", def: "30", min: 1, max: 600, unit: "s"},
	setResetRetries:      {key: "ResetRetries", comp: "OCPPCommCtrlr", variable: "ResetRetries", def: "3", max: 100},
	setRemoteAuthorize:   {key: "AuthorizeRemoteTxRequests", comp: "AuthCtrlr", variable: "AuthorizeRemoteStart", kind: kindBool, def: "false"},
	setConnectors:        {key: "NumberOfConnectors", readOnly: true, def: "1"},
	setEVSECount:         {comp: "ChargingStation", variable: "EVSECount", readOnly: true, def: "1"},
	setPhaseRotation:     {key: "ConnectorPhaseRotation", comp: "ChargingStation", variable: "PhaseRotation", kind: kindString, def: "RST", max: 500},
	setFeatureProfiles:   {key: "SupportedFeatureProfiles", kind: kindString, readOnly: true, def: "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"},
	setGetConfigMax:      {key: "GetConfigurationMaxKeys", readOnly: true, def: "50"},
	setMaxStack:          {key: "ChargeProfileMaxStackLevel", comp: "SmartChargingCtrlr", variable: "ProfileStackLevel", readOnly: true, def: "10"},
	setRateUnit:          {key: "ChargingScheduleAllowedChargingRateUnit", readOnly: true, kind: kindString, def: "Current,Power"},
	setMaxPeriods:        {key: "ChargingScheduleMaxPeriods", comp: "SmartChargingCtrlr", variable: "PeriodsPerSchedule", readOnly: true, def: "96"},
	setMaxProfiles:       {key: "MaxChargingProfilesInstalled", comp: "SmartChargingCtrlr", variable: "Entries", instance: "ChargingProfiles", readOnly: true, def: "32", max: 32},
	setPhaseSwitch:       {key: "ConnectorSwitch3to1PhaseSupported", comp: "SmartChargingCtrlr", variable: "Phases3to1", kind: kindBool, readOnly: true, def: "false"},
	setReserveZero:       {key: "ReserveConnectorZeroSupported", comp: "ReservationCtrlr", variable: "NonEvseSpecific", kind: kindBool, readOnly: true, def: "true"},
	setReserveSupported:  {comp: "ReservationCtrlr", variable: "Enabled", kind: kindBool, def: "true"},
	setSecurityProfile:   {key: "SecurityProfile", comp: "SecurityCtrlr", variable: "SecurityProfile", def: "0", max: 3, reboot: true},
	setOrganization:      {key: "CpoName", comp: "SecurityCtrlr", variable: "OrganizationName", kind: kindString, def: "Lumela", max: 50},
	setPassword:          {key: "AuthorizationKey", comp: "SecurityCtrlr", variable: "BasicAuthPassword", kind: kindString, writeOnly: true, max: 64},
	setCertMax:           {key: "CertificateStoreMaxLength", comp: "SecurityCtrlr", variable: "CertificateEntries", readOnly: true, def: "20", max: 20},
	setCertChain:         {key: "CertificateSignedMaxChainSize", comp: "SecurityCtrlr", variable: "MaxCertificateChainSize", readOnly: true, def: "10000", max: 10000},
	setCertWait:          {key: "CertSigningWaitMinimum", comp: "SecurityCtrlr", variable: "CertSigningWaitMinimum", def: "30", min: 1, max: 86400, unit: "s"},
	setCertRepeat:        {key: "CertSigningRepeatTimes", comp: "SecurityCtrlr", variable: "CertSigningRepeatTimes", def: "3", max: 100},
	setBackOffMin:        {key: "RetryBackOffWaitMinimum", comp: "OCPPCommCtrlr", variable: "RetryBackOffWaitMinimum", def: "2", max: 3600, unit: "s"},
	setBackOffRandom:     {key: "RetryBackOffRandomRange", comp: "OCPPCommCtrlr", variable: "RetryBackOffRandomRange", def: "2", max: 3600, unit: "s"},
	setBackOffRepeat:     {key: "RetryBackOffRepeatTimes", comp: "OCPPCommCtrlr", variable: "RetryBackOffRepeatTimes", def: "5", max: 20},
	setTxStart:           {comp: "TxCtrlr", variable: "TxStartPoint", kind: kindList, def: "PowerPathClosed", allowed: startPoints},
	setTxStop:            {comp: "TxCtrlr", variable: "TxStopPoint", kind: kindList, def: "EVConnected,Authorized", allowed: startPoints},
	setAuthEnabled:       {comp: "AuthCtrlr", variable: "Enabled", kind: kindBool, readOnly: true, def: "true"},
	setDisplayEnabled:    {comp: "DisplayMessageCtrlr", variable: "Enabled", kind: kindBool, readOnly: true, def: "true"},
	setDisplayFormats:    {comp: "DisplayMessageCtrlr", variable: "SupportedFormats", kind: kindList, readOnly: true, def: "ASCII,UTF8", allowed: []string{"ASCII", "UTF8"}},
	setDisplayPriorities: {comp: "DisplayMessageCtrlr", variable: "SupportedPriorities", kind: kindList, readOnly: true, def: "AlwaysFront,InFront,NormalCycle", allowed: []string{"AlwaysFront", "InFront", "NormalCycle"}},
	setDisplayMax:        {comp: "DisplayMessageCtrlr", variable: "DisplayMessages", readOnly: true, def: "0", max: 20},
	setReportItems:       {comp: "DeviceDataCtrlr", variable: "ItemsPerMessage", instance: "GetReport", readOnly: true, def: "32"},
	setReportBytes:       {comp: "DeviceDataCtrlr", variable: "BytesPerMessage", instance: "GetReport", readOnly: true, def: "65536"},
	setGetVarItems:       {comp: "DeviceDataCtrlr", variable: "ItemsPerMessage", instance: "GetVariables", readOnly: true, def: "100"},
	setSetVarItems:       {comp: "DeviceDataCtrlr", variable: "ItemsPerMessage", instance: "SetVariables", readOnly: true, def: "100"},
	setMonitoringEnabled: {comp: "MonitoringCtrlr", variable: "Enabled", kind: kindBool, def: "true"},
	setMonitoringBase:    {comp: "MonitoringCtrlr", variable: "ActiveMonitoringBase", kind: kindOption, readOnly: true, def: "All", allowed: []string{"All", "FactoryDefault", "HardWiredOnly"}},
	setMonitoringLevel:   {comp: "MonitoringCtrlr", variable: "ActiveMonitoringLevel", readOnly: true, def: "9", max: 9},
	setOfflineThreshold:  {comp: "OCPPCommCtrlr", variable: "OfflineThreshold", def: "0", max: 86400, unit: "s"},
	setSampledEnabled:    {comp: "SampledDataCtrlr", variable: "Enabled", kind: kindBool, def: "true"},
	setAlignedEnabled:    {comp: "AlignedDataCtrlr", variable: "Enabled", kind: kindBool, def: "true"},
	setTimeSource:        {comp: "ClockCtrlr", variable: "TimeSource", kind: kindList, def: "Heartbeat", allowed: []string{"Heartbeat", "NTP", "RealTimeClock"}},
	setTimeOffset:        {comp: "ClockCtrlr", variable: "TimeOffset", kind: kindString, def: "+00:00", max: 6},
	setNetworkPriority:   {comp: "OCPPCommCtrlr", variable: "NetworkConfigurationPriority", kind: kindString, def: "0", max: 100, reboot: true},
	setNetworkActive:     {comp: "OCPPCommCtrlr", variable: "ActiveNetworkProfile", readOnly: true, def: "0"},
	setFileProtocols:     {key: "SupportedFileTransferProtocols", comp: "OCPPCommCtrlr", variable: "FileTransferProtocols", kind: kindList, readOnly: true, def: "HTTP,HTTPS", allowed: []string{"HTTP", "HTTPS"}},
	setTariffEnabled:     {comp: "TariffCostCtrlr", variable: "Enabled", instance: "Tariff", kind: kindBool, readOnly: true, def: "true", only21: true},
	setTariffCurrency:    {comp: "TariffCostCtrlr", variable: "Currency", kind: kindString, def: "EUR", max: 3},
	setTxBeforeAccepted:  {comp: "TxCtrlr", variable: "TxBeforeAcceptedEnabled", kind: kindBool, readOnly: true, def: "false"},
	setLightIntensity:    {key: "LightIntensity", def: "100", max: 100, unit: "%"},
	setBlinkRepeat:       {key: "BlinkRepeat", def: "0", max: 100},
	setStopMaxMeter:      {key: "StopTransactionMaxMeterValues", comp: "SampledDataCtrlr", variable: "TxEndedMaxValues", readOnly: true, def: "100"},
}

// text is the value of a setting.
func (s *Station) text(i setting) string {
	if v, ok := s.values[i]; ok {
		return v
	}
	return settings[i].def
}

func (s *Station) num(i setting) int {
	n, err := strconv.Atoi(s.text(i))
	if err != nil {
		return 0 // set checks every value, and defaults are numbers: only a write-only or absent one comes here
	}
	return n
}

func (s *Station) flag(i setting) bool                 { return strings.EqualFold(s.text(i), "true") }
func (s *Station) seconds(i setting) time.Duration     { return time.Duration(s.num(i)) * time.Second }
func (s *Station) words(i setting) []string            { return splitWords(s.text(i)) }
func (s *Station) hasWord(i setting, word string) bool { return slices.Contains(s.words(i), word) }

func splitWords(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// check says why a value does not fit, and gives it in the form in which it is kept.
func (sp *settingSpec) check(value string) (string, error) {
	switch sp.kind {
	case kindInt:
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			return "", fmt.Errorf("%q is not an integer", value)
		}
		if n < sp.min || n > sp.max {
			return "", fmt.Errorf("%d is not in %d to %d", n, sp.min, sp.max)
		}
		return strconv.Itoa(n), nil
	case kindBool:
		b := strings.ToLower(strings.TrimSpace(value))
		if b != "true" && b != "false" {
			return "", fmt.Errorf("%q is not true or false", value)
		}
		return b, nil
	case kindOption:
		if !slices.Contains(sp.allowed, value) {
			return "", fmt.Errorf("%q is not one of %s", value, strings.Join(sp.allowed, ", "))
		}
	case kindList:
		words := splitWords(value)
		for _, w := range words {
			if !slices.Contains(sp.allowed, w) {
				return "", fmt.Errorf("%q is not one of %s", w, strings.Join(sp.allowed, ", "))
			}
		}
		return strings.Join(words, ","), nil
	case kindString:
		if len([]rune(value)) > sp.max {
			return "", fmt.Errorf("more than %d characters", sp.max)
		}
	}
	return value, nil
}

// set writes a setting after its rules were checked, and lets it take effect.
func (s *Station) set(i setting, value string) error {
	value, err := settings[i].check(value)
	if err != nil {
		return err
	}
	if i == setPassword && len(value) < 16 {
		return fmt.Errorf("a password has at least 16 characters")
	}
	if i == setSecurityProfile && value < s.text(i) { // one digit: the order of texts is that of numbers
		return fmt.Errorf("the security profile cannot be lowered")
	}
	if s.values == nil {
		s.values = make(map[setting]string, 4)
	}
	s.values[i] = value
	s.applied(i)
	return nil
}

// applied lets a changed setting take effect at once where it can.
func (s *Station) applied(i setting) {
	switch i {
	case setHeartbeat:
		s.planHeartbeat()
	case setPing:
		s.planPing()
	case setMeterInterval, setSampledEnabled:
		for _, e := range s.evses {
			s.planMeter(e)
		}
	case setAlignedInterval, setAlignedEnabled:
		s.planAligned()
	case setMonitoringLevel, setMonitoringBase, setMonitoringEnabled:
		s.checkMonitors()
	case setAuthCache:
		if !s.flag(setAuthCache) {
			s.cache = nil
		}
	}
}

// settingByKey finds a 1.6 key, whatever its case.
func settingByKey(key string) (setting, bool) {
	for i := range settings {
		if settings[i].key != "" && strings.EqualFold(settings[i].key, key) {
			return setting(i), true
		}
	}
	return 0, false
}

// settingByVariable finds a variable of 2.x, whatever its case.
func settingByVariable(component, variable, instance string) (setting, bool) {
	for i := range settings {
		sp := &settings[i]
		if sp.comp != "" && strings.EqualFold(sp.comp, component) && strings.EqualFold(sp.variable, variable) &&
			strings.EqualFold(sp.instance, instance) {
			return setting(i), true
		}
	}
	return 0, false
}

// firstSettings takes the values of the configuration, read-only ones too: they are the factory's.
func (s *Station) firstSettings() error {
	s.values = map[setting]string{}
	fixed := map[setting]int{setEVSECount: s.cfg.EVSEs, setConnectors: s.cfg.EVSEs * s.cfg.ConnectorsPerEVSE,
		setMeterInterval: int(s.cfg.Behaviour.MeterInterval / time.Second)}
	for i, n := range fixed {
		if v := strconv.Itoa(n); v != settings[i].def {
			s.values[i] = v
		}
	}
	profile := "0"
	switch {
	case s.cfg.TLS != nil && len(s.cfg.TLS.Certificates) > 0:
		profile = "3"
	case s.cfg.TLS != nil || strings.HasPrefix(s.cfg.URL, "wss"):
		profile = "2"
	case s.cfg.Password != "":
		profile = "1"
	}
	if profile != "0" {
		s.values[setSecurityProfile] = profile
	}
	for name, value := range s.cfg.Settings {
		i, ok := settingByKey(name)
		if comp, variable, dotted := strings.Cut(name, "."); dotted && !ok {
			i, ok = settingByVariable(comp, variable, "")
		}
		if !ok {
			return fmt.Errorf("station %s: no setting is called %q", s.cfg.ID, name)
		}
		v, err := settings[i].check(value)
		if err != nil && !settings[i].readOnly {
			return fmt.Errorf("station %s: setting %s: %w", s.cfg.ID, name, err)
		} else if err != nil {
			v = value
		}
		s.values[i] = v
	}
	return nil
}
