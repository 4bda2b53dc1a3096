package events

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Why a message is refused as an event. Each is a stable label of logs and metrics.
const (
	ReasonUnknownType   fleet.Reason = "unknown_type"
	ReasonBadHeader     fleet.Reason = "bad_header"
	ReasonBadAttribute  fleet.Reason = "bad_attribute"
	ReasonBadData       fleet.Reason = "bad_data"
	ReasonSchema        fleet.Reason = "schema_mismatch"
	ReasonOversize      fleet.Reason = "oversize"
	ReasonWrongSubject  fleet.Reason = "wrong_subject"
	ReasonWrongIdentity fleet.Reason = "wrong_identity"
)

// Refusal says why a message does not fit.
type Refusal = fleet.Refusal

func refuse(reason fleet.Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: clip(fmt.Sprintf(format, args...))}
}

// maxDetail bounds what is quoted of a message that does not fit, in bytes: the
// reason is logged by every reader of the log.
const maxDetail = 512

func clip(detail string) string {
	if len(detail) <= maxDetail {
		return detail
	}
	return strings.ToValidUTF8(detail[:maxDetail], "") + "…"
}
