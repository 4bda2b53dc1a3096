package busconf

import (
	"slices"
	"strings"
	"time"
)

// Verb is what a right lets its holder do.
type Verb string

// The verbs. Answer lets the holder answer, once, each request it gets; Deny
// takes subjects out of what Publish gives.
const (
	Publish   Verb = "publish"
	Deny      Verb = "not publish"
	Subscribe Verb = "subscribe"
	Answer    Verb = "answer"
)

// Who may answer may do so this often, for so long after the request.
const (
	answers    = 1
	answerTime = 2 * time.Minute
)

// Right is one line of the table.
type Right struct {
	Roles []Role
	Verb  Verb
	// Subjects, with <fleet> for the prefix, <FLEET> for the same in upper
	// case, <role> for the role and <node> for the token of the node's id.
	Subjects []string
	// Why it is needed.
	Why string
}

// Table is everything that anybody may do on the bus. What is not in it nobody
// may; least of all delete, purge, update or restore a stream. One exception is
// in it: a planner purges old snapshots, which are no more than a cache.
func Table() []Right {
	return slices.Concat(nodeRights, serviceRights, readRights, importRights, auditRights)
}

var nodeRights = []Right{
	{[]Role{Node}, Publish, []string{"<fleet>.presence.<node>", "<fleet>.credential.<node>"}, "its heartbeats and its proofs"},
	{[]Role{Node}, Publish, []string{"<fleet>.request.<node>"}, "asking for a new credential, and telling what it refused"},
	{[]Role{Node}, Publish, []string{"$JS.API.DIRECT.GET.<FLEET>_TRUST", "$JS.API.DIRECT.GET.<FLEET>_TRUST.<fleet>.trust.>"}, "reading what is trusted now"},
	{[]Role{Node}, Subscribe, []string{"<fleet>.command.<node>"}, "commands to its agent"},
	{[]Role{Node}, Subscribe, []string{"<fleet>.trust.>"}, "hearing that what is trusted has changed"},
	{[]Role{Node}, Subscribe, []string{"_INBOX.<fleet>.<node>.>"}, "answers to what it asked"},
	{[]Role{Node}, Answer, nil, "commands"},
}

var serviceRights = []Right{
	{[]Role{Planner}, Publish, []string{"<fleet>.events.inventory", "<fleet>.events.node.*", "<fleet>.events.plan", "<fleet>.events.plan.*", "<fleet>.events.refusal", "<fleet>.actions.>"}, "facts, plans and actions"},
	{[]Role{Planner}, Publish, []string{"$O.<FLEET>_INVENTORIES.C.*", "$O.<FLEET>_INVENTORIES.M.*"}, "the texts of inventories"},
	{[]Role{Planner}, Publish, []string{"$O.<FLEET>_SNAPSHOTS.C.*", "$O.<FLEET>_SNAPSHOTS.M.*"}, "snapshots of the fold"},
	{[]Role{Planner}, Publish, []string{"$JS.API.STREAM.CREATE.<FLEET>", "$JS.API.STREAM.CREATE.<FLEET>_INGEST", "$JS.API.STREAM.CREATE.<FLEET>_PRESENCE", "$JS.API.STREAM.CREATE.<FLEET>_TRUST", "$JS.API.STREAM.CREATE.OBJ_<FLEET>_INVENTORIES", "$JS.API.STREAM.CREATE.OBJ_<FLEET>_SNAPSHOTS"}, "making streams that are missing"},
	{[]Role{Planner}, Publish, []string{"$JS.API.CONSUMER.CREATE.<FLEET>_INGEST.*.<fleet>.credential.*", "$JS.API.CONSUMER.INFO.<FLEET>_INGEST.*", "$JS.API.CONSUMER.MSG.NEXT.<FLEET>_INGEST.*", "$JS.API.CONSUMER.DELETE.<FLEET>_INGEST.*", "$JS.API.STREAM.MSG.GET.<FLEET>_INGEST"}, "reading proofs"},
	{[]Role{Planner}, Publish, []string{"$JS.API.CONSUMER.CREATE.<FLEET>_PRESENCE.*.<fleet>.presence.*", "$JS.API.CONSUMER.INFO.<FLEET>_PRESENCE.*", "$JS.API.CONSUMER.MSG.NEXT.<FLEET>_PRESENCE.*", "$JS.API.CONSUMER.DELETE.<FLEET>_PRESENCE.*", "$JS.API.DIRECT.GET.<FLEET>_PRESENCE.>"}, "reading leases"},
	{[]Role{Planner}, Publish, []string{"$JS.API.STREAM.LEADER.STEPDOWN.<FLEET>_PRESENCE"}, "hearing leases again after the loss of a server of a cluster"},
	{[]Role{Planner}, Subscribe, []string{"<fleet>.presence.*", "<fleet>.credential.*"}, "seeing headers that the stream refuses, as one of the queue group `planners`"},
	{[]Role{Executor}, Publish, []string{"<fleet>.events.outcome.*", "<fleet>.events.node.*", "<fleet>.events.trust", "<fleet>.events.enforcement", "<fleet>.events.refusal"}, "outcomes and the facts that go with them"},
	{[]Role{Executor}, Publish, []string{"<fleet>.command.*"}, "commands to agents"},
	{[]Role{Executor}, Publish, []string{"$JS.API.CONSUMER.CREATE.<FLEET>.executor.<fleet>.actions.>", "$JS.ACK.<FLEET>.executor.>"}, "taking actions and acknowledging them"},
	{[]Role{Executor}, Subscribe, []string{"<fleet>.request.*"}, "what agents ask for, as one of the queue group `executors`"},
	{[]Role{Planner, Executor}, Publish, []string{"<fleet>.trust.>", "$JS.API.STREAM.INFO.<FLEET>_TRUST", "$JS.API.DIRECT.GET.<FLEET>_TRUST.>"}, "telling nodes what is trusted"},
	{[]Role{Planner, Executor}, Publish, []string{"$JS.API.STREAM.INFO.<FLEET>_INGEST", "$JS.API.STREAM.INFO.<FLEET>_PRESENCE", "$JS.API.STREAM.INFO.OBJ_<FLEET>_INVENTORIES", "$JS.API.STREAM.INFO.OBJ_<FLEET>_SNAPSHOTS"}, "checking the settings of the streams"},
	{[]Role{Planner, Executor}, Subscribe, []string{"$SRV.*", "$SRV.*.fleetfold-<role>", "$SRV.*.fleetfold-<role>.*", "<fleet>.service.<role>"}, "being asked how they are"},
	{[]Role{Planner, Executor}, Answer, nil, "the same"},
	{[]Role{Operator}, Publish, []string{"<fleet>.events.control"}, "pause, resume, approve, rotate, retry, and asking for a step of the issuers (`fleetfold ca`)"},
	{[]Role{Operator}, Publish, []string{"<fleet>.events.partition"}, "dividing the fleet among planners (`fleetfold partition`)"},
	{[]Role{Planner, Operator}, Publish, []string{"<fleet>.events.checkpoint"}, "signed checkpoints"},
	{[]Role{Operator}, Publish, []string{"<fleet>.events.inventory", "$O.<FLEET>_INVENTORIES.C.*", "$O.<FLEET>_INVENTORIES.M.*"}, "applying an inventory (`fleetfold apply`)"},
	{[]Role{Planner}, Publish, []string{"$JS.API.STREAM.INFO.KV_<FLEET>_TOKENS", "$JS.API.STREAM.CREATE.KV_<FLEET>_TOKENS"}, "making the bucket of join tokens"},
	{[]Role{Operator, Executor}, Publish, []string{"$KV.<FLEET>_TOKENS.*", "$JS.API.DIRECT.GET.KV_<FLEET>_TOKENS", "$JS.API.DIRECT.GET.KV_<FLEET>_TOKENS.>"}, "join tokens: making, spending and forgetting them"},
	{[]Role{Operator, Auditor}, Publish, []string{"$SRV.STATS.fleetfold-planner", "$SRV.STATS.fleetfold-executor"}, "asking services how they are"},
}

var readRights = []Right{
	{[]Role{Planner, Executor}, Publish, []string{"$JS.API.STREAM.INFO.<FLEET>", "$JS.API.STREAM.MSG.GET.<FLEET>", "$JS.API.CONSUMER.CREATE.<FLEET>.*", "$JS.API.CONSUMER.INFO.<FLEET>.*", "$JS.API.CONSUMER.MSG.NEXT.<FLEET>.*"}, "following the log"},
	{[]Role{Planner}, Deny, []string{"$JS.API.CONSUMER.CREATE.<FLEET>.executor", "$JS.API.CONSUMER.MSG.NEXT.<FLEET>.executor"}, "actions are the executor's to take"},
	{[]Role{Planner, Executor, Operator, Auditor}, Publish, []string{"$JS.API.DIRECT.GET.<FLEET>", "$JS.API.DIRECT.GET.<FLEET>.>"}, "reading the log"},
	{[]Role{Planner, Executor, Operator, Auditor}, Publish, []string{"$JS.API.DIRECT.GET.OBJ_<FLEET>_INVENTORIES", "$JS.API.DIRECT.GET.OBJ_<FLEET>_INVENTORIES.>"}, "reading the texts of inventories"},
	{[]Role{Planner, Executor, Operator, Auditor}, Publish, []string{"$JS.API.DIRECT.GET.OBJ_<FLEET>_SNAPSHOTS", "$JS.API.DIRECT.GET.OBJ_<FLEET>_SNAPSHOTS.>"}, "beginning with a snapshot"},
}

// importRights are no one's but where the configuration asks for an importer.
var importRights = []Right{
	{[]Role{Importer}, Publish, []string{"<fleet>.events.>", "<fleet>.actions.>", "$O.<FLEET>_INVENTORIES.C.*", "$O.<FLEET>_INVENTORIES.M.*"}, "storing the records of an export, and its inventories"},
	{[]Role{Importer}, Publish, []string{"$JS.API.STREAM.CREATE.<FLEET>", "$JS.API.STREAM.CREATE.<FLEET>_INGEST", "$JS.API.STREAM.CREATE.<FLEET>_PRESENCE", "$JS.API.STREAM.CREATE.<FLEET>_TRUST", "$JS.API.STREAM.CREATE.OBJ_<FLEET>_INVENTORIES", "$JS.API.STREAM.CREATE.OBJ_<FLEET>_SNAPSHOTS", "$JS.API.STREAM.CREATE.KV_<FLEET>_TOKENS"}, "making the streams"},
	{[]Role{Importer}, Publish, []string{"$JS.API.STREAM.INFO.<FLEET>", "$JS.API.STREAM.INFO.<FLEET>_INGEST", "$JS.API.STREAM.INFO.<FLEET>_PRESENCE", "$JS.API.STREAM.INFO.<FLEET>_TRUST", "$JS.API.STREAM.INFO.OBJ_<FLEET>_INVENTORIES", "$JS.API.STREAM.INFO.OBJ_<FLEET>_SNAPSHOTS", "$JS.API.STREAM.INFO.KV_<FLEET>_TOKENS"}, "checking their settings"},
	{[]Role{Importer}, Publish, []string{"$JS.API.STREAM.MSG.GET.<FLEET>", "$JS.API.DIRECT.GET.<FLEET>", "$JS.API.DIRECT.GET.<FLEET>.>", "$JS.API.DIRECT.GET.OBJ_<FLEET>_INVENTORIES", "$JS.API.DIRECT.GET.OBJ_<FLEET>_INVENTORIES.>"}, "reading back what was stored"},
}

var auditRights = []Right{
	{[]Role{Operator, Auditor}, Publish, []string{"$JS.API.STREAM.INFO.<FLEET>", "$JS.API.STREAM.INFO.<FLEET>_INGEST", "$JS.API.STREAM.INFO.<FLEET>_PRESENCE", "$JS.API.STREAM.INFO.<FLEET>_TRUST", "$JS.API.STREAM.INFO.OBJ_<FLEET>_INVENTORIES", "$JS.API.CONSUMER.INFO.<FLEET>.executor", "$JS.API.INFO"}, "looking at streams, executors and limits (`fleetfold doctor`)"},
	{[]Role{Operator, Auditor}, Publish, []string{"$JS.API.DIRECT.GET.<FLEET>_PRESENCE"}, "looking at leases"},
	{[]Role{Operator, Auditor}, Publish, []string{"$SYS.REQ.SERVER.PING.VARZ"}, "asking servers how they write to disk"},
	{[]Role{Planner, Executor, Operator, Auditor, Importer}, Subscribe, []string{"_INBOX.<fleet>.~<role>.>"}, "answers to what they asked"},
}

// Grant is all that one identity may do.
type Grant struct {
	Publish, Deny, Subscribe []string
	// Answer lets it answer, once, each request it gets.
	Answer bool
}

// grant collects a role's rights. token is the node's, "" for a service.
func grant(role Role, prefix, token string) Grant {
	var g Grant
	fill := strings.NewReplacer("<fleet>", prefix, "<FLEET>", strings.ToUpper(prefix), "<role>", string(role), "<node>", token)
	for _, r := range Table() {
		if !slices.Contains(r.Roles, role) {
			continue
		}
		var subjects []string
		for _, s := range r.Subjects {
			subjects = append(subjects, fill.Replace(s))
		}
		switch r.Verb {
		case Publish:
			g.Publish = append(g.Publish, subjects...)
		case Deny:
			g.Deny = append(g.Deny, subjects...)
		case Subscribe:
			g.Subscribe = append(g.Subscribe, subjects...)
		case Answer:
			g.Answer = true
		}
	}
	return g
}

// Markdown is the table as SECURITY.md shows it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| who | may | subjects | for |\n| --- | --- | --- | --- |\n")
	for _, r := range Table() {
		var roles []string
		for _, role := range r.Roles {
			roles = append(roles, string(role))
		}
		subjects := "each request it gets, once"
		if r.Verb != Answer {
			subjects = "`" + strings.Join(r.Subjects, "`<br>`") + "`"
		}
		b.WriteString("| " + strings.Join(roles, ", ") + " | " + string(r.Verb) + " | " + subjects + " | " + r.Why + " |\n")
	}
	return b.String()
}
