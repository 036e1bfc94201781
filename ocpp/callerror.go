package ocpp

// CallError is the refusal of a call: a CALLERROR on the wire (CALLRESULTERROR for a bad answer in 2.1).
type CallError struct {
	Code        Code
	Description string // at most 255 characters on the wire; longer text is cut there
	Details     Raw    // a JSON object, "" for none
}

// Error gives the code and the description.
func (e *CallError) Error() string {
	if e.Description == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Description
}

// String is the code as OCPP 2.x spells it.
func (c Code) String() string {
	switch c {
	case FormatViolation:
		return "FormatViolation"
	case InternalError:
		return "InternalError"
	case MessageTypeNotSupported:
		return "MessageTypeNotSupported"
	case NotImplemented:
		return "NotImplemented"
	case NotSupported:
		return "NotSupported"
	case OccurrenceConstraintViolation:
		return "OccurrenceConstraintViolation"
	case PropertyConstraintViolation:
		return "PropertyConstraintViolation"
	case ProtocolError:
		return "ProtocolError"
	case RPCFrameworkError:
		return "RpcFrameworkError"
	case SecurityError:
		return "SecurityError"
	case TypeConstraintViolation:
		return "TypeConstraintViolation"
	}
	return "GenericError"
}
