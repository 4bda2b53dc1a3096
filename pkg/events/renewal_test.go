package events

import (
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestDecodeRefusesWhatIsNoRenewal(t *testing.T) {
	runSpoiled(t, map[string]spoiled{
		"a credential that says not why":           {TypeCredentialIssued, replace(`"action": "issue-43b9833d035f5627034c",`, ""), ReasonBadData, "not a legal id"},
		"a rotation without a rate":                {TypeRotationRequested, replace(`"rate_per_second": 5`, `"rate_per_second": 0`), ReasonBadData, "rate_per_second"},
		"a rotation of everything at once":         {TypeRotationRequested, replace(`"rate_per_second": 5`, `"rate_per_second": 1001`), ReasonBadData, "rate_per_second"},
		"a rotation of a node in its subject only": {TypeRotationRequested, header("ce-subject", "n1"), ReasonBadData, "subject"},
		"a renewal of nothing":                     {TypeRenewalRequested, replace(`"ecfabe7b7e73284698a5e5722674b084"`, `""`), ReasonBadData, "serial"},
		"a renewal on another node's subject":      {TypeRenewalRequested, subject("fleet.request.n2"), ReasonWrongSubject, "n2"},
		"a confirmation on an inbox":               {TypeCredentialConfirmed, subject("_INBOX.x"), ReasonWrongSubject, "_INBOX"},
	})
}

func TestACredentialIsOfAnActionOrARenewal(t *testing.T) {
	for why, c := range map[string]struct {
		action fleet.ActionID
		renews string
		fits   bool
	}{
		"an action": {"issue-1", "", true}, "a renewal": {"", "0a", true}, "neither": {"", "", false}, "both": {"issue-1", "0a", false},
	} {
		e, _ := example(t, TypeCredentialIssued)
		d := e.Data.(*CredentialIssued)
		d.Action, d.Renews, e.Body = c.action, c.renews, nil
		m, err := Encode(DefaultSubjects(), e)
		if err == nil {
			err = CheckSchema(e.Type, m.Data)
		}
		if (err == nil) != c.fits {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// Only what a node says, or an executor's refusal with a reason, answers.
func TestWhoMayAnswer(t *testing.T) {
	for why, c := range map[string]struct {
		source string
		data   CommandAnswered
		fits   bool
	}{
		"the node":                          {NodeSource("region/nyc/node-1"), CommandAnswered{}, true},
		"an executor that refuses":          {SourceExecutor, CommandAnswered{Error: "no", Reason: "request_stale"}, true},
		"an executor without a reason":      {SourceExecutor, CommandAnswered{Error: "no"}, false},
		"an executor that says that it did": {SourceExecutor, CommandAnswered{}, false},
		"an executor that took a report":    {SourceExecutor, CommandAnswered{Taken: true}, true},
		"an executor that took it and not":  {SourceExecutor, CommandAnswered{Taken: true, Error: "no", Reason: "request_stale"}, false},
		"a node that took a report":         {NodeSource("region/nyc/node-1"), CommandAnswered{Taken: true}, false},
		"a planner":                         {SourcePlanner, CommandAnswered{Error: "no", Reason: "request_stale"}, false},
	} {
		e, _ := example(t, TypeCommandAnswered)
		e.Source, e.Data, e.Body = c.source, &c.data, nil
		m, err := EncodeTo("_INBOX.x", e)
		if err == nil {
			_, err = DecodeAnswer(m)
		}
		if (err == nil) != c.fits {
			t.Errorf("%s: %v", why, err)
		}
	}
}
