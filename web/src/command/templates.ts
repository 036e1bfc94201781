import { newRemoteStartId } from "./StartDialog";

type Payload = Record<string, unknown>;

/** A point in time a few minutes ahead, in the form that OCPP takes. */
function soon(minutes: number): string {
  return new Date(Date.now() + minutes * 60_000).toISOString().replace(/\.\d+Z$/, "Z");
}

const token = { idToken: "", type: "ISO14443" };
const named = (component: string, variable: string) => ({
  component: { name: component },
  variable: { name: variable },
});

/**
 * Every command that an OCPP 2.1 CSMS may send, each with a payload to begin with: what the message requires,
 * filled so that little has to be typed.
 */
export const templates: Record<string, () => Payload> = {
  AdjustPeriodicEventStream: () => ({ id: 1, params: { interval: 60, values: 10 } }),
  AFRRSignal: () => ({ timestamp: soon(0), signal: 0 }),
  CancelReservation: () => ({ reservationId: 1 }),
  CertificateSigned: () => ({ certificateChain: "", certificateType: "ChargingStationCertificate" }),
  ChangeAvailability: () => ({ operationalStatus: "Operative", evse: { id: 1 } }),
  ChangeTransactionTariff: () => ({ transactionId: "", tariff: { tariffId: "", currency: "EUR" } }),
  ClearCache: () => ({}),
  ClearChargingProfile: () => ({ chargingProfileId: 1 }),
  ClearDERControl: () => ({ isDefault: false }),
  ClearDisplayMessage: () => ({ id: 1 }),
  ClearTariffs: () => ({}),
  ClearVariableMonitoring: () => ({ id: [1] }),
  CostUpdated: () => ({ totalCost: 0, transactionId: "" }),
  CustomerInformation: () => ({ requestId: 1, report: true, clear: false, idToken: token }),
  DataTransfer: () => ({ vendorId: "", messageId: "", data: "" }),
  DeleteCertificate: () => ({
    certificateHashData: { hashAlgorithm: "SHA256", issuerNameHash: "", issuerKeyHash: "", serialNumber: "" },
  }),
  GetBaseReport: () => ({ requestId: 1, reportBase: "FullInventory" }),
  GetChargingProfiles: () => ({
    requestId: 1,
    chargingProfile: { chargingProfilePurpose: "TxDefaultProfile" },
  }),
  GetCompositeSchedule: () => ({ evseId: 1, duration: 3600, chargingRateUnit: "W" }),
  GetDERControl: () => ({ requestId: 1 }),
  GetDisplayMessages: () => ({ requestId: 1 }),
  GetInstalledCertificateIds: () => ({}),
  GetLocalListVersion: () => ({}),
  GetLog: () => ({ requestId: 1, logType: "DiagnosticsLog", log: { remoteLocation: "https://" } }),
  GetMonitoringReport: () => ({ requestId: 1 }),
  GetPeriodicEventStream: () => ({}),
  GetReport: () => ({ requestId: 1, componentVariable: [{ component: { name: "ChargingStation" } }] }),
  GetTariffs: () => ({ evseId: 0 }),
  GetTransactionStatus: () => ({}),
  GetVariables: () => ({ getVariableData: [named("OCPPCommCtrlr", "HeartbeatInterval")] }),
  InstallCertificate: () => ({ certificateType: "CSMSRootCertificate", certificate: "" }),
  NotifyAllowedEnergyTransfer: () => ({ transactionId: "", allowedEnergyTransfer: ["AC_three_phase"] }),
  NotifyWebPaymentStarted: () => ({ evseId: 1, timeout: 120 }),
  PublishFirmware: () => ({ location: "https://", checksum: "", requestId: 1 }),
  RequestBatterySwap: () => ({ idToken: token, requestId: 1 }),
  RequestStartTransaction: () => ({ evseId: 1, idToken: token, remoteStartId: newRemoteStartId() }),
  RequestStopTransaction: () => ({ transactionId: "" }),
  ReserveNow: () => ({ id: 1, evseId: 1, expiryDateTime: soon(30), idToken: token }),
  Reset: () => ({ type: "OnIdle" }),
  SendLocalList: () => ({
    versionNumber: 1,
    updateType: "Full",
    localAuthorizationList: [{ idToken: token, idTokenInfo: { status: "Accepted" } }],
  }),
  SetChargingProfile: () => ({
    evseId: 1,
    chargingProfile: {
      id: 1,
      stackLevel: 0,
      chargingProfilePurpose: "TxDefaultProfile",
      chargingProfileKind: "Absolute",
      chargingSchedule: [
        {
          id: 1,
          startSchedule: soon(0),
          chargingRateUnit: "A",
          chargingSchedulePeriod: [{ startPeriod: 0, limit: 16 }],
        },
      ],
    },
  }),
  SetDefaultTariff: () => ({ evseId: 0, tariff: { tariffId: "", currency: "EUR" } }),
  SetDERControl: () => ({ isDefault: false, controlId: "1", controlType: "EnterService" }),
  SetDisplayMessage: () => ({
    message: { id: 1, priority: "NormalCycle", message: { format: "UTF8", content: "" } },
  }),
  SetMonitoringBase: () => ({ monitoringBase: "All" }),
  SetMonitoringLevel: () => ({ severity: 5 }),
  SetNetworkProfile: () => ({
    configurationSlot: 1,
    connectionData: {
      ocppInterface: "Wired0",
      ocppTransport: "JSON",
      messageTimeout: 30,
      ocppCsmsUrl: "wss://",
      securityProfile: 2,
    },
  }),
  SetVariableMonitoring: () => ({
    setMonitoringData: [
      { value: 0, type: "Delta", severity: 5, ...named("ChargingStation", "AvailabilityState") },
    ],
  }),
  SetVariables: () => ({
    setVariableData: [{ attributeValue: "300", ...named("OCPPCommCtrlr", "HeartbeatInterval") }],
  }),
  TriggerMessage: () => ({ requestedMessage: "StatusNotification", evse: { id: 1, connectorId: 1 } }),
  UnlockConnector: () => ({ evseId: 1, connectorId: 1 }),
  UnpublishFirmware: () => ({ checksum: "" }),
  UpdateDynamicSchedule: () => ({ chargingProfileId: 1, scheduleUpdate: { limit: 11000 } }),
  UpdateFirmware: () => ({ requestId: 1, firmware: { location: "https://", retrieveDateTime: soon(5) } }),
  UsePriorityCharging: () => ({ transactionId: "", activate: true }),
};

/** The payload as it stands in the editor when a command is chosen. */
export function template(action: string): string {
  return JSON.stringify(templates[action]?.() ?? {}, null, 2);
}
