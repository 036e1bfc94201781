import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ago, api, command, connectorOf, eventually, framesOf, items, onlySession, shown } from './lumela.mjs';
import { Station, fresh } from './station.mjs';

const heartbeat = { component: { name: 'OCPPCommCtrlr' }, variable: { name: 'HeartbeatInterval' } };
const connectorType = { component: { name: 'Connector', evse: { id: 1, connectorId: 1 } }, variable: { name: 'ConnectorType' } };

/** boot opens a station that has booted and reported its connector. It reports its device model in two parts. */
async function boot(t, name, password) {
	const s = await Station.open(t, 'ocpp2.0.1', name, password);
	let interval = '300';
	const parts = () => [
		{ ...heartbeat, variableAttribute: [{ value: interval, mutability: 'ReadWrite' }], variableCharacteristics: { dataType: 'integer', unit: 's', supportsMonitoring: false } },
		{ ...connectorType, variableAttribute: [{ type: 'Actual', value: 'cCCS2', mutability: 'ReadOnly' }] },
	];
	s.answers.GetBaseReport = ({ requestId }) => {
		s.reported = (async () => {
			const all = parts();
			for (const [seqNo, part] of all.entries()) {
				await s.call('NotifyReport', { requestId, generatedAt: ago(0), seqNo, tbc: seqNo < all.length - 1, reportData: [part] });
			}
		})();
		s.reported.catch((err) => s.faults.push({ report: err.message })); // else it would end the process
		return { status: 'Accepted' };
	};
	s.answers.GetVariables = ({ getVariableData }) => ({
		getVariableResult: getVariableData.map(({ component, variable }) => ({ attributeStatus: 'Accepted', attributeValue: interval, component, variable })),
	});
	s.answers.SetVariables = ({ setVariableData }) => {
		interval = setVariableData[0].attributeValue;
		return { setVariableResult: setVariableData.map(({ component, variable }) => ({ attributeStatus: 'Accepted', component, variable })) };
	};
	const booted = await s.call('BootNotification', { reason: 'PowerUp', chargingStation: { vendorName: 'Volta', model: 'Node 201', serialNumber: 'V-201', firmwareVersion: '20.1', modem: {} } });
	assert.equal(booted.status, 'Accepted');
	assert.equal(booted.interval, 300);
	assert.ok(Math.abs(Date.parse(booted.currentTime) - Date.now()) < 30_000, booted.currentTime);
	await s.call('StatusNotification', { timestamp: ago(700), connectorStatus: 'Available', evseId: 1, connectorId: 1 });
	return s;
}

/** energy is a reading in Wh, which is what OCPP means when no unit is given, and W in thousands. */
const energy = (timestamp, wh, kw, context = 'Sample.Periodic') => ({
	timestamp,
	sampledValue: [
		{ value: wh, context },
		{ value: kw, context, measurand: 'Power.Active.Import', unitOfMeasure: { unit: 'W', multiplier: 3 } },
		{ value: 55, context, measurand: 'SoC', location: 'EV', unitOfMeasure: { unit: 'Percent' } },
	],
});

describe('a charging station of ocpp-rpc in strict mode', { concurrency: true }, () => {
	test('boots, authorises and charges', async (t) => {
		const s = await boot(t, fresh('RPC201-CHARGE'));
		const idToken = { idToken: fresh('04RPC201'), type: 'ISO14443' };
		await api('POST', '/tokens', { uid: idToken.idToken, type: idToken.type, group: 'FLEET' }, 201);
		const accepted = { idTokenInfo: { status: 'Accepted', groupIdToken: { idToken: 'FLEET', type: 'Central' } } };
		assert.deepEqual(await s.call('Authorize', { idToken }), accepted);
		assert.deepEqual(await s.call('Authorize', { idToken: { idToken: 'nobody', type: 'ISO14443' } }), { idTokenInfo: { status: 'Unknown' } });

		const transactionId = crypto.randomUUID();
		const [begin, reading, end] = [ago(600), ago(540), ago(60)];
		const started = await s.call('TransactionEvent', { eventType: 'Started', timestamp: begin, triggerReason: 'Authorized', seqNo: 0, idToken,
			evse: { id: 1, connectorId: 1 }, transactionInfo: { transactionId, chargingState: 'Charging' }, meterValue: [energy(begin, 1000, 0, 'Transaction.Begin')] });
		assert.deepEqual(started, accepted);
		await s.call('StatusNotification', { timestamp: begin, connectorStatus: 'Occupied', evseId: 1, connectorId: 1 });
		assert.deepEqual(await s.call('TransactionEvent', { eventType: 'Updated', timestamp: reading, triggerReason: 'MeterValuePeriodic', seqNo: 1,
			transactionInfo: { transactionId, chargingState: 'Charging' }, meterValue: [energy(reading, 1500.4, 7.2)] }), {});
		const running = { transactionId, evse: 1, connector: 1, token: idToken.idToken, tokenType: 'ISO14443', state: 'active', chargingState: 'Charging',
			startedAt: shown(begin), endedAt: null, energyWh: 500, powerW: 7200, soc: 55, meterStartWh: 1000 };
		const session = await onlySession(s.id, running);
		await eventually(() => connectorOf(s.id), (c) => assert.deepEqual([c.status, c.detail], ['Occupied', 'Charging']));

		await s.call('TransactionEvent', { eventType: 'Ended', timestamp: end, triggerReason: 'StopAuthorized', seqNo: 2, idToken,
			transactionInfo: { transactionId, stoppedReason: 'Local', chargingState: 'EVConnected' }, meterValue: [energy(end, 8342, 0, 'Transaction.End')] });
		await s.call('StatusNotification', { timestamp: end, connectorStatus: 'Available', evseId: 1, connectorId: 1 });
		await onlySession(s.id, { ...running, state: 'ended', chargingState: 'EVConnected', endedAt: shown(end), energyWh: 7342, powerW: 0, stoppedReason: 'Local', meterStopWh: 8342 });
		await eventually(() => connectorOf(s.id), (c) => assert.deepEqual([c.status, c.detail], ['Available', '']));

		const values = await items(`/sessions/${session.id}/meter-values`);
		assert.deepEqual(values.map((v) => [v.at, v.context, v.samples[0].value, v.samples[0].unit]),
			[[shown(begin), 'Transaction.Begin', '1000', 'Wh'], [shown(reading), 'Sample.Periodic', '1500.4', 'Wh'], [shown(end), 'Transaction.End', '8342', 'Wh']]);
		const station = await api('GET', `/stations/${s.id}`);
		assert.deepEqual([station.vendor, station.model, station.firmware, station.serialNumber, station.protocol, station.online], ['Volta', 'Node 201', '20.1', 'V-201', '2.0.1', true]);
		for (const [action, calls] of [['BootNotification', 1], ['Authorize', 2], ['TransactionEvent', 3], ['StatusNotification', 3]]) {
			await framesOf(s.id, action, 'in', calls);
		}
		s.unblemished();
	});

	test('charges from afar', async (t) => {
		const s = await boot(t, fresh('RPC201-REMOTE'));
		const idToken = { idToken: fresh('REMOTE201'), type: 'Central' };
		await api('POST', '/tokens', { uid: idToken.idToken, type: idToken.type }, 201);
		const transactionId = crypto.randomUUID();
		Object.assign(s.answers, { RequestStartTransaction: { status: 'Accepted' }, RequestStopTransaction: { status: 'Accepted' } });
		await command(s.id, 'RequestStartTransaction', { remoteStartId: 9, evseId: 1, idToken }, { status: 'Accepted' });
		assert.deepEqual(s.last('RequestStartTransaction'), { remoteStartId: 9, evseId: 1, idToken });
		await s.call('TransactionEvent', { eventType: 'Started', timestamp: ago(300), triggerReason: 'RemoteStart', seqNo: 0, idToken,
			evse: { id: 1, connectorId: 1 }, transactionInfo: { transactionId, chargingState: 'Charging', remoteStartId: 9 }, meterValue: [energy(ago(300), 0, 11)] });
		const session = await onlySession(s.id, { state: 'active', remoteStartId: 9, energyWh: 0, powerW: 11000 });
		await api('POST', `/sessions/${session.id}/stop`);
		assert.deepEqual(s.last('RequestStopTransaction'), { transactionId });
		await s.call('TransactionEvent', { eventType: 'Ended', timestamp: ago(100), triggerReason: 'RemoteStop', seqNo: 1,
			transactionInfo: { transactionId, stoppedReason: 'Remote' }, meterValue: [energy(ago(100), 567, 0)] });
		await onlySession(s.id, { state: 'ended', remoteStartId: 9, energyWh: 567, powerW: 0, stoppedReason: 'Remote', token: idToken.idToken });
		s.unblemished();
	});

	test('shows and takes variables', async (t) => {
		const s = await boot(t, fresh('RPC201-VARS'));
		const model = (interval) => eventually(() => items(`/stations/${s.id}/variables`), (vars) =>
			assert.deepEqual(vars.map((v) => [v.component, v.evse, v.connector, v.variable, v.value]), [['Connector', 1, 1, 'ConnectorType', 'cCCS2'], ['OCPPCommCtrlr', 0, 0, 'HeartbeatInterval', interval]]));
		await model('300'); // read when the station was new
		await s.reported;
		await command(s.id, 'GetVariables', { getVariableData: [heartbeat] }, { getVariableResult: [{ attributeStatus: 'Accepted', attributeValue: '300', ...heartbeat }] });
		assert.deepEqual(s.last('GetVariables'), { getVariableData: [heartbeat] });
		await command(s.id, 'SetVariables', { setVariableData: [{ attributeValue: '120', ...heartbeat }] }, { setVariableResult: [{ attributeStatus: 'Accepted', ...heartbeat }] });
		assert.deepEqual(s.last('SetVariables'), { setVariableData: [{ attributeValue: '120', ...heartbeat }] });
		await model('120');
		await command(s.id, 'GetBaseReport', { requestId: 3, reportBase: 'FullInventory' }, { status: 'Accepted' });
		assert.deepEqual(s.last('GetBaseReport'), { requestId: 3, reportBase: 'FullInventory' });
		await s.reported;
		await model('120');
		await framesOf(s.id, 'NotifyReport', 'in', 4);
		s.unblemished();
	});

	test('answers commands', async (t) => {
		const s = await boot(t, fresh('RPC201-CMDS'));
		const accepted = { status: 'Accepted' };
		const at = '2030-01-02T03:04:05Z';
		const expiry = shown(ago(-3600));
		const periods = [{ startPeriod: 0, limit: 16, numberPhases: 3 }, { startPeriod: 600, limit: 10.5 }];
		const schedule = { evseId: 1, duration: 1800, scheduleStart: at, chargingRateUnit: 'A', chargingSchedulePeriod: periods };
		const hash = { hashAlgorithm: 'SHA256', issuerNameHash: 'ab', issuerKeyHash: 'cd', serialNumber: '1f' };
		// 2.0.1 says all of these in the words of 2.1.
		for (const [action, payload, response = accepted] of [
			['Reset', { type: 'Immediate', evseId: 1 }],
			['TriggerMessage', { requestedMessage: 'MeterValues', evse: { id: 1 } }, { status: 'NotImplemented' }],
			['UnlockConnector', { evseId: 1, connectorId: 1 }, { status: 'Unlocked' }],
			['ChangeAvailability', { operationalStatus: 'Inoperative', evse: { id: 1, connectorId: 1 } }, { status: 'Scheduled' }],
			['ClearCache', {}],
			['GetLocalListVersion', {}, { versionNumber: 4 }],
			['SendLocalList', { versionNumber: 5, updateType: 'Differential', localAuthorizationList: [{ idToken: { idToken: 'A', type: 'ISO14443' }, idTokenInfo: { status: 'Blocked' } }, { idToken: { idToken: 'B', type: 'ISO14443' } }] }],
			['ReserveNow', { id: 3, evseId: 1, connectorType: 'cCCS2', expiryDateTime: expiry, idToken: { idToken: 'C', type: 'ISO14443' } }, { status: 'Occupied' }],
			['CancelReservation', { reservationId: 3 }, { status: 'Rejected' }],
			['SetChargingProfile', { evseId: 1, chargingProfile: { id: 7, stackLevel: 2, chargingProfilePurpose: 'TxDefaultProfile', chargingProfileKind: 'Recurring', recurrencyKind: 'Daily',
				chargingSchedule: [{ id: 1, duration: 3600, startSchedule: at, chargingRateUnit: 'A', chargingSchedulePeriod: periods }] } }],
			['GetCompositeSchedule', { evseId: 1, duration: 1800, chargingRateUnit: 'A' }, { status: 'Accepted', schedule }],
			['GetChargingProfiles', { requestId: 4, chargingProfile: { chargingProfilePurpose: 'TxDefaultProfile' } }, { status: 'NoProfiles' }],
			['ClearChargingProfile', { chargingProfileCriteria: { evseId: 1, chargingProfilePurpose: 'TxDefaultProfile', stackLevel: 2 } }, { status: 'Unknown' }],
			['GetReport', { requestId: 5, componentCriteria: ['Problem'] }, { status: 'EmptyResultSet' }],
			['GetLog', { logType: 'DiagnosticsLog', requestId: 6, log: { remoteLocation: 'https://example.com/log' } }, { status: 'Accepted', filename: 'log.gz' }],
			['UpdateFirmware', { requestId: 7, retries: 2, firmware: { location: 'https://example.com/fw', retrieveDateTime: at } }],
			['GetTransactionStatus', {}, { messagesInQueue: false }],
			['SetVariableMonitoring', { setMonitoringData: [{ value: 30.5, type: 'UpperThreshold', severity: 4, ...connectorType }] }, { setMonitoringResult: [{ id: 1, status: 'Accepted', type: 'UpperThreshold', severity: 4, ...connectorType }] }],
			['ClearVariableMonitoring', { id: [1] }, { clearMonitoringResult: [{ id: 1, status: 'NotFound' }] }],
			['SetMonitoringBase', { monitoringBase: 'FactoryDefault' }],
			['SetMonitoringLevel', { severity: 4 }],
			['GetMonitoringReport', { requestId: 8, monitoringCriteria: ['ThresholdMonitoring'] }, { status: 'EmptyResultSet' }],
			['SetDisplayMessage', { message: { id: 1, priority: 'NormalCycle', message: { format: 'UTF8', language: 'de', content: 'Grüße ⚡' } } }],
			['GetDisplayMessages', { requestId: 9, priority: 'NormalCycle' }, { status: 'Unknown' }],
			['ClearDisplayMessage', { id: 1 }, { status: 'Unknown' }],
			['CustomerInformation', { requestId: 10, report: true, clear: false, customerIdentifier: 'x' }],
			['GetInstalledCertificateIds', { certificateType: ['CSMSRootCertificate'] }, { status: 'Accepted', certificateHashDataChain: [{ certificateType: 'CSMSRootCertificate', certificateHashData: hash }] }],
			['DeleteCertificate', { certificateHashData: hash }, { status: 'NotFound' }],
			['CostUpdated', { totalCost: 12.34, transactionId: 'tx' }, {}],
			['DataTransfer', { vendorId: 'com.example', messageId: 'm', data: { n: [1, 'zwei'] } }, { status: 'UnknownVendorId' }],
		]) {
			s.answers[action] = response;
			const translation = await command(s.id, action, payload, response);
			assert.deepEqual([translation, s.last(action)], [[], payload], action);
		}
		s.unblemished();
	});

	test('tells what happens', async (t) => {
		const s = await boot(t, fresh('RPC201-TELLS'));
		const at = ago(30);
		const generatedAt = at;
		const schedule = { id: 1, chargingRateUnit: 'W', chargingSchedulePeriod: [{ startPeriod: 0, limit: 11000 }] };
		const profile = { id: 1, stackLevel: 0, chargingProfilePurpose: 'TxDefaultProfile', chargingProfileKind: 'Absolute', chargingSchedule: [schedule] };
		const messages = [
			['SecurityEventNotification', { type: 'TamperDetectionActivated', timestamp: at, techInfo: 'lid' }],
			['FirmwareStatusNotification', { status: 'Installed', requestId: 1 }],
			['PublishFirmwareStatusNotification', { status: 'Published', location: ['https://example.com/fw'], requestId: 1 }],
			['LogStatusNotification', { status: 'Uploaded', requestId: 2 }],
			['NotifyEvent', { generatedAt, seqNo: 0, eventData: [{ eventId: 1, timestamp: at, trigger: 'Alerting', actualValue: '81', eventNotificationType: 'HardWiredMonitor', component: { name: 'Connector', evse: { id: 1 } }, variable: { name: 'Temperature' } }] }],
			['NotifyMonitoringReport', { requestId: 3, seqNo: 0, generatedAt }],
			['NotifyCustomerInformation', { data: 'nothing', seqNo: 0, generatedAt, requestId: 4 }],
			['NotifyDisplayMessages', { requestId: 5 }],
			['NotifyChargingLimit', { chargingLimit: { chargingLimitSource: 'EMS' } }],
			['ClearedChargingLimit', { chargingLimitSource: 'EMS' }],
			['ReportChargingProfiles', { requestId: 6, chargingLimitSource: 'CSO', evseId: 1, chargingProfile: [profile] }],
			['NotifyEVChargingSchedule', { timeBase: at, evseId: 1, chargingSchedule: schedule }, { status: 'Accepted' }],
			['ReservationStatusUpdate', { reservationId: 7, reservationUpdateStatus: 'Expired' }],
			['NotifyEVChargingNeeds', { evseId: 1, chargingNeeds: { requestedEnergyTransfer: 'DC', dcChargingParameters: { evMaxCurrent: 100, evMaxVoltage: 400 } } }, { status: 'Rejected' }],
			['DataTransfer', { vendorId: 'com.example', messageId: 'hello', data: { deep: [1, 2] } }, { status: 'UnknownVendorId' }],
		];
		for (const [action, payload, response = {}] of messages) {
			assert.deepEqual(await s.call(action, payload), response, action);
			const notices = await items(`/stations/${s.id}/notices?action=${action}`);
			assert.equal(notices.length, 1, action);
		}
		assert.deepEqual((await items(`/stations/${s.id}/notices?action=SecurityEventNotification`))[0].payload, { ...messages[0][1], timestamp: shown(at) });
		assert.deepEqual(await s.call('MeterValues', { evseId: 1, meterValue: [energy(at, 9000, 0, 'Sample.Clock')] }), {});
		assert.deepEqual(await items(`/sessions?station=${s.id}`), []);
		s.unblemished();
	});

	test('shows its password', async (t) => {
		const id = fresh('RPC201-PASSWORD');
		const password = 'pass:word with ~signs~';
		await api('POST', '/stations', { id, securityProfile: 1, password }, 201);
		await assert.rejects(Station.open(t, 'ocpp2.0.1', id, 'not the password'), /Unauthorized/);
		const s = await boot(t, id, password);
		assert.deepEqual(await s.call('Heartbeat', {}).then((r) => Object.keys(r)), ['currentTime']);
		s.unblemished();
	});

	test('would complain', async (t) => {
		// The judge of these tests is awake: it refuses to send what breaks its schema.
		const s = await Station.open(t, 'ocpp2.0.1', fresh('RPC201-JUDGE'));
		await assert.rejects(s.call('Heartbeat', { surplus: true }), /additional properties/);
		assert.equal(s.faults.length, 1);
	});
});
