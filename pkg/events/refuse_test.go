package events

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// binaryOf is the example of a type in binary mode, to be spoiled.
func binaryOf(t testing.TB, typ Type) Message {
	t.Helper()
	e, _ := example(t, typ)
	m, err := Encode(DefaultSubjects(), e)
	if err != nil {
		t.Fatal(err)
	}
	m.Data = slices.Clone(m.Data)
	return m
}

func wantRefusal(t *testing.T, err error, reason fleet.Reason, detail string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if r.Reason != reason || !strings.Contains(r.Detail, detail) {
		t.Errorf("got %v, want %s: ...%s...", r, reason, detail)
	}
}

type spoiled struct {
	typ    Type
	spoil  func(*Message)
	reason fleet.Reason
	detail string
}

func header(name string, values ...string) func(*Message) {
	return func(m *Message) { m.Header[name] = values }
}

func without(name string) func(*Message) {
	return func(m *Message) { delete(m.Header, name) }
}

func body(s string) func(*Message) { return func(m *Message) { m.Data = []byte(s) } }

func replace(old, with string) func(*Message) {
	return func(m *Message) { m.Data = []byte(strings.Replace(string(m.Data), old, with, 1)) }
}

func subject(s string) func(*Message) { return func(m *Message) { m.Subject = s } }

func runSpoiled(t *testing.T, table map[string]spoiled) {
	for why, c := range table {
		t.Run(why, func(t *testing.T) {
			m := binaryOf(t, c.typ)
			before := string(m.Data)
			c.spoil(&m)
			e, err := Decode(DefaultSubjects(), m)
			if err == nil {
				t.Fatalf("decoded %s (was %s)", m.Data, before)
			}
			if e != nil {
				t.Error("an event came with the refusal")
			}
			wantRefusal(t, err, c.reason, c.detail)
		})
	}
}

func TestDecodeRefusesAttributes(t *testing.T) {
	runSpoiled(t, map[string]spoiled{
		"no header at all":                      {TypeNodeLost, func(m *Message) { m.Header = nil }, ReasonBadAttribute, "specversion is missing"},
		"no id":                                 {TypeNodeLost, without("ce-id"), ReasonBadAttribute, "id is missing"},
		"no source":                             {TypeNodeLost, without("ce-source"), ReasonBadAttribute, "source is missing"},
		"no time":                               {TypeNodeLost, without("ce-time"), ReasonBadAttribute, "time is missing"},
		"no schema":                             {TypeNodeLost, without("ce-dataschema"), ReasonBadAttribute, "dataschema is missing"},
		"no content type":                       {TypeNodeLost, without("ce-datacontenttype"), ReasonBadAttribute, "datacontenttype is missing"},
		"an attribute that is there but empty":  {TypeNodeLost, header("ce-id", ""), ReasonBadAttribute, "id is empty"},
		"another specversion":                   {TypeNodeLost, header("ce-specversion", "0.3"), ReasonBadAttribute, "specversion"},
		"a type that nobody registered":         {TypeNodeLost, header("ce-type", "node.found"), ReasonUnknownType, "node.found"},
		"another content type":                  {TypeNodeLost, header("ce-datacontenttype", "text/json"), ReasonBadAttribute, "datacontenttype"},
		"the schema of another type":            {TypeNodeLost, header("ce-dataschema", SchemaID(TypeNodeLeft)), ReasonBadAttribute, "dataschema"},
		"two values in one header":              {TypeNodeLost, header("ce-id", "a", "b"), ReasonBadHeader, "2 values"},
		"no value in a header":                  {TypeNodeLost, header("ce-id"), ReasonBadHeader, "0 values"},
		"one header in two spellings":           {TypeNodeLost, header("CE-Id", "a"), ReasonBadHeader, "id stands twice"},
		"bytes that are not UTF-8":              {TypeNodeLost, header("ce-id", "%C0%A0"), ReasonBadHeader, "UTF-8"},
		"half an escape":                        {TypeNodeLost, header("ce-id", "a%4"), ReasonBadHeader, "hex"},
		"a control character":                   {TypeNodeLost, header("ce-id", "a%0A"), ReasonBadAttribute, "U+000A"},
		"an attribute that is too long":         {TypeNodeLost, header("ce-id", strings.Repeat("a", 2049)), ReasonOversize, "2049"},
		"a source with a space":                 {TypeNodeLost, header("ce-source", "a%20b"), ReasonBadAttribute, "URI"},
		"a source with a stray percent sign":    {TypeNodeLost, header("ce-source", "a%25b"), ReasonBadAttribute, "URI"},
		"a time without a zone":                 {TypeNodeLost, header("ce-time", "2026-01-02T03:04:05"), ReasonBadAttribute, "RFC 3339"},
		"a time that is no time":                {TypeNodeLost, header("ce-time", "2026-02-30T03:04:05Z"), ReasonBadAttribute, "RFC 3339"},
		"the time that nobody set":              {TypeNodeLost, header("ce-time", "0001-01-01T00:00:00Z"), ReasonBadAttribute, "not set"},
		"a node event without a node":           {TypeNodeLost, without("ce-subject"), ReasonBadAttribute, "has no subject"},
		"a fleet event with a node":             {TypePlanDecided, header("ce-subject", "n1"), ReasonBadAttribute, "concerns the fleet"},
		"a node id that breaks the rule":        {TypeNodeLost, header("ce-subject", "a..b"), ReasonBadAttribute, "subject"},
		"a trace context of another form":       {TypeNodeLost, header("ce-traceparent", "00-1-2-3"), ReasonBadAttribute, "traceparent"},
		"a trace context of zeros":              {TypeNodeLost, header("ce-traceparent", "00-"+strings.Repeat("0", 32)+"-b7ad6b7169203331-01"), ReasonBadAttribute, "traceparent"},
		"a proof on an event without one":       {TypeNodeLost, header("ce-dssematerial", "e30="), ReasonBadAttribute, "dssematerial"},
		"a proof that is not base64":            {TypeCredentialProved, header("ce-dssematerial", "e30"), ReasonBadAttribute, "base64"},
		"a proof that is too long":              {TypeCredentialProved, header("ce-dssematerial", strings.Repeat("A", 32769)), ReasonOversize, "dssematerial"},
		"an action outside of a plan":           {TypeEnrollNode, func(m *Message) { maps.DeleteFunc(m.Header, isStep) }, ReasonBadAttribute, "lacks plan"},
		"an action that lacks one of the four":  {TypeEnrollNode, without("ce-basis"), ReasonBadAttribute, "all be there"},
		"a fact inside of a plan":               {TypeNodeLost, stepOf(1, 1), ReasonBadAttribute, "is no action"},
		"step 0":                                {TypeEnrollNode, header("ce-step", "0"), ReasonBadAttribute, "step 0 of 3"},
		"a step behind the last":                {TypeEnrollNode, header("ce-step", "4"), ReasonBadAttribute, "step 4 of 3"},
		"a step with a sign":                    {TypeEnrollNode, header("ce-step", "+1"), ReasonBadAttribute, "plain number"},
		"a step with a leading zero":            {TypeEnrollNode, header("ce-step", "01"), ReasonBadAttribute, "plain number"},
		"more steps than an Integer can count":  {TypeEnrollNode, header("ce-steps", "2147483648"), ReasonBadAttribute, "31 bits"},
		"a basis that is no number":             {TypeEnrollNode, header("ce-basis", "-1"), ReasonBadAttribute, "plain number"},
		"a plan id that is no token":            {TypeEnrollNode, header("ce-plan", "a.b"), ReasonBadAttribute, "legal id"},
		"a heartbeat for another node":          {TypeNodeHeartbeat, header("ce-source", NodeSource("n2")), ReasonWrongIdentity, "n2"},
		"an answer in another node's name":      {TypeCommandAnswered, header("ce-source", NodeSource("n2")), ReasonWrongIdentity, "n2"},
		"a batch of events":                     {TypeNodeLost, header("Content-Type", "application/cloudevents-batch+json"), ReasonBadHeader, "one event"},
		"an event in another structured format": {TypeNodeLost, header("Content-Type", "application/cloudevents+avro"), ReasonBadHeader, "JSON format"},
		"two content types":                     {TypeNodeLost, header("Content-Type", "text/plain", "text/html"), ReasonBadHeader, "one value"},
	})
}

func isStep(name string, _ []string) bool {
	return slices.Contains([]string{"ce-plan", "ce-step", "ce-steps", "ce-basis"}, name)
}

func stepOf(step, steps rune) func(*Message) {
	return func(m *Message) {
		m.Header["ce-plan"], m.Header["ce-basis"] = []string{"p"}, []string{"1"}
		m.Header["ce-step"], m.Header["ce-steps"] = []string{string('0' + step)}, []string{string('0' + steps)}
	}
}

func TestDecodeRefusesData(t *testing.T) {
	runSpoiled(t, map[string]spoiled{
		"nothing":                                  {TypeNodeLost, body(""), ReasonBadData, "end of JSON"},
		"what is not JSON":                         {TypeNodeLost, body("{"), ReasonBadData, "JSON"},
		"null":                                     {TypeNodeLost, body("null"), ReasonBadData, "null"},
		"a list":                                   {TypeNodeLost, body("[]"), ReasonBadData, "array"},
		"something behind the object":              {TypeNodeLost, body(`{"epoch":1,"reason":"x"}{}`), ReasonBadData, "after top-level"},
		"an unknown field":                         {TypeNodeLost, body(`{"epoch":1,"reason":"x","more":1}`), ReasonBadData, `"more" is unknown`},
		"a field in another case":                  {TypeNodeLost, body(`{"Epoch":1,"reason":"x"}`), ReasonBadData, `"Epoch" is unknown`},
		"a field in escapes":                       {TypeNodeLost, body(`{"\u0065poch":1,"reason":"x"}`), ReasonBadData, "is unknown"},
		"a field given twice":                      {TypeNodeLost, body(`{"epoch":1,"reason":"x","epoch":2}`), ReasonBadData, `"epoch" stands twice`},
		"a field left out":                         {TypeNodeLost, body(`{"reason":"x"}`), ReasonBadData, `"epoch" is missing`},
		"a field that is null":                     {TypeNodeLost, body(`{"epoch":null,"reason":"x"}`), ReasonBadData, "null"},
		"a number as a string":                     {TypeNodeLost, body(`{"epoch":"1","reason":"x"}`), ReasonBadData, "epoch"},
		"a number below zero":                      {TypeNodeLost, body(`{"epoch":-1,"reason":"x"}`), ReasonBadData, "epoch"},
		"a number with a point":                    {TypeNodeLost, body(`{"epoch":1.0,"reason":"x"}`), ReasonBadData, "epoch"},
		"text that is not UTF-8":                   {TypeNodeLost, body("{\"epoch\":1,\"reason\":\"\xff\"}"), ReasonBadData, "UTF-8"},
		"an unknown field of a nested object":      {TypePlanDecided, replace(`"jitter"`, `"Jitter"`), ReasonBadData, `"Jitter" is unknown`},
		"a field of the object around it":          {TypePlanDecided, replace(`"jitter"`, `"basis"`), ReasonBadData, `"basis" is unknown`},
		"a field missing in a list":                {TypePlanDecided, replace(`"attempt": 1,`, ""), ReasonBadData, `"attempt" is missing`},
		"a list that is null":                      {TypePlanDecided, func(m *Message) { m.Data = planWithNull }, ReasonBadData, "null"},
		"a body that is too long":                  {TypeNodeLost, func(m *Message) { m.Data = make([]byte, MaxBodyBytes+1) }, ReasonOversize, "1048577"},
		"an inventory of generation 0":             {TypeInventoryApplied, replace(`"generation": 3`, `"generation": 0`), ReasonBadData, "generation"},
		"a request for another action":             {TypeEnrollNode, replace("EnrollNode", "DecommissionNode"), ReasonBadData, "DecommissionNode"},
		"a request for no known action":            {TypeEnrollNode, replace("EnrollNode", "Enroll"), ReasonBadData, "Enroll"},
		"a request about another node":             {TypeEnrollNode, replace("node-2", "node-3"), ReasonBadData, "but the subject is"},
		"attempt 0":                                {TypeEnrollNode, replace(`"attempt": 1`, `"attempt": 0`), ReasonBadData, "attempts count from 1"},
		"an action id that is no token":            {TypeEnrollNode, replace(`"enroll-`, `"enroll.`), ReasonBadData, "legal id"},
		"an enforcement action about a node":       {TypeEnableStrictEnforcement, replace(`{`, `{"id":"n1",`), ReasonBadData, "names the node"},
		"a planned action of no known type":        {TypePlanDecided, replace("EnrollNode", "Enroll"), ReasonBadData, "unknown"},
		"a held action without its node":           {TypePlanDecided, replace(`"id": "region/ams/node-4",`, ""), ReasonBadData, "empty"},
		"fewer held in all than are listed":        {TypePlanDecided, replace(`"held_total": 1`, `"held_total": 0`), ReasonBadData, "1 held actions are listed of 0"},
		"a checkpoint of nothing":                  {TypeCheckpointSigned, replace(`"size": 5`, `"size": 0`), ReasonBadData, "size from 1"},
		"a checkpoint with a hash too many":        {TypeCheckpointSigned, replace(`"size": 5`, `"size": 4`), ReasonBadData, "a hash for each bit"},
		"a checkpoint with half a hash":            {TypeCheckpointSigned, replace("AAAA=", "="), ReasonBadData, "hash 2 of the frontier"},
		"a checkpoint without its note":            {TypeCheckpointSigned, replace(`"note": "`, `"note": "","notes": "`), ReasonBadData, "notes"},
		"a plan id with a wildcard":                {TypePlanDecided, replace(`"plan-`, `"*`), ReasonBadData, "legal id"},
		"an outcome about another node":            {TypeActionSucceeded, replace("node-1", "node-2"), ReasonBadData, "but the subject is"},
		"an outcome whose id would be two tokens":  {TypeActionSucceeded, replace(`"issue-`, `"issue.`), ReasonBadData, "legal id"},
		"an outcome of no known action":            {TypeActionRefused, replace("EnableStrictEnforcement", "Flip"), ReasonBadData, "unknown"},
		"an outcome that took less than no time":   {TypeActionSucceeded, replace(`"duration_ms": 184`, `"duration_ms": -1`), ReasonBadData, "duration_ms"},
		"a failure without a reason":               {TypeActionFailed, replace(`"handler_error"`, `""`), ReasonBadData, "reason"},
		"a refusal without a reason":               {TypeActionRefused, replace(`"no_longer_wanted"`, `""`), ReasonBadData, "reason"},
		"a lease of no time":                       {TypeNodeHeartbeat, replace(`"lease_seconds": 15`, `"lease_seconds": 0`), ReasonBadData, "lease_seconds is 0"},
		"a lease of more than an hour":             {TypeNodeHeartbeat, replace(`"lease_seconds": 15`, `"lease_seconds": 3601`), ReasonBadData, "lease_seconds is 3601"},
		"a flip by an action without an id":        {TypeEnforcementEnabled, replace(`"enable-`, `" `), ReasonBadData, "legal id"},
		"a removal by an action without an id":     {TypeNodeRemoved, replace(`"decommission-`, `" `), ReasonBadData, "legal id"},
		"a revocation by an action without an id":  {TypeCredentialRevoked, replace(`"decommission-`, `" `), ReasonBadData, "legal id"},
		"a challenge without a nonce":              {TypeCredentialIssued, replace(`"616e206578616d706c65206e6f6e6365"`, `""`), ReasonBadData, "nonce"},
		"a pause of no known scope":                {TypeControlPaused, replace(`"region",`, `"rack",`), ReasonBadData, "rack"},
		"a pause of a region without its name":     {TypeControlPaused, replace(`"region": "nyc",`, ""), ReasonBadData, `region ""`},
		"a pause of the fleet that names a region": {TypeControlPaused, replace(`"scope": "region"`, `"scope": "fleet"`), ReasonBadData, `scope is "fleet"`},
		"a pause of a region that names a node":    {TypeControlPaused, replace(`{`, `{"id":"n1",`), ReasonBadData, `id "n1"`},
		"the resumption of another node":           {TypeControlResumed, replace("node-1", "node-2"), ReasonBadData, "node-2"},
		"an approval of nothing":                   {TypePlanApproved, replace(`"removal-`, `"*`), ReasonBadData, "legal id"},
		"an approval on no basis":                  {TypePlanApproved, replace(`"basis": 41`, `"basis": 0`), ReasonBadData, "basis"},
		"a certificate that ends at no known time": {TypeCredentialIssued, replace(`"not_after": "`, `"not_after": "x`), ReasonBadData, "time"},
	})
}

var planWithNull = []byte(`{"plan":"p","basis":1,"inventory_digest":"d","generation":1,"rule_version":"1","decided_at":"2026-01-01T00:00:00Z","settled":true,` +
	`"safeguards":{"removal_min":5,"removal_fraction":0.02,"blind_fraction":0.55,"blind_min":3,"lost_wait_seconds":5,"flap_threshold":3,"flap_half_life_seconds":600},` +
	`"policy":{"max_in_flight":1,"backoff_base_seconds":1,"backoff_cap_seconds":1,"jitter":0},"actions":null,"held_total":0}`)

func TestDecodeRefusesSubjects(t *testing.T) {
	runSpoiled(t, map[string]spoiled{
		"no subject":                          {TypeNodeLost, subject(""), ReasonWrongSubject, "node.lost came on"},
		"another node's subject":              {TypeNodeLost, subject("fleet.events.node.n2"), ReasonWrongSubject, "n2"},
		"another fleet's subject":             {TypePlanDecided, subject("fleet2.events.plan"), ReasonWrongSubject, "fleet2"},
		"a heartbeat on another node's lease": {TypeNodeHeartbeat, subject("fleet.presence.n2"), ReasonWrongSubject, "n2"},
		"a fact on the ingest subject":        {TypeNodeLost, subject("fleet.credential.region%2Fnyc%2Fnode-1"), ReasonWrongSubject, "credential"},
		"a proof on another node's subject":   {TypeCredentialProved, subject("fleet.credential.n2"), ReasonWrongSubject, "n2"},
		"an outcome on another action's":      {TypeActionSucceeded, subject("fleet.events.outcome.issue-1"), ReasonWrongSubject, "issue-1"},
		"an action on another kind's subject": {TypeEnrollNode, subject("fleet.actions.decommission-node.region%2Fnyc%2Fnode-2"), ReasonWrongSubject, "decommission"},
		"a command on the inbox of an answer": {TypeCertificateRequested, subject("_INBOX.x"), ReasonWrongSubject, "_INBOX"},
		"the subject in an encoding of its own": {TypeNodeLost, subject("fleet.events.node.region%2fnyc%2fnode-1"),
			ReasonWrongSubject, "%2f"},
	})
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	type change struct {
		change func(*Event)
		reason fleet.Reason
	}
	for why, c := range map[string]change{
		"a type that nobody registered":     {func(e *Event) { e.Type = "node.found" }, ReasonUnknownType},
		"no data":                           {func(e *Event) { e.Data = nil }, ReasonBadData},
		"a nil pointer as data":             {func(e *Event) { e.Data = (*NodeLost)(nil) }, ReasonBadData},
		"data of another type":              {func(e *Event) { e.Data = &NodeLeft{Epoch: 1} }, ReasonBadData},
		"no id":                             {func(e *Event) { e.ID = "" }, ReasonBadAttribute},
		"a blank id":                        {func(e *Event) { e.ID = " " }, ReasonBadAttribute},
		"an id that is not UTF-8":           {func(e *Event) { e.ID = "\xff" }, ReasonBadAttribute},
		"no source":                         {func(e *Event) { e.Source = "" }, ReasonBadAttribute},
		"no time":                           {func(e *Event) { e.Time = time.Time{} }, ReasonBadAttribute},
		"a time that RFC 3339 cannot write": {func(e *Event) { e.Time = e.Time.AddDate(9000, 0, 0) }, ReasonBadAttribute},
		"no node":                           {func(e *Event) { e.Node = "" }, ReasonBadAttribute},
		"a step":                            {func(e *Event) { e.Step = &Step{Plan: "p", Step: 1, Steps: 1} }, ReasonBadAttribute},
		"a proof":                           {func(e *Event) { e.DSSEMaterial = []byte("{}") }, ReasonBadAttribute},
		"a body that says something else":   {func(e *Event) { e.Data = &NodeLost{Epoch: 2, Reason: "lease_expired"} }, ReasonBadData},
		"a body that does not fit":          {func(e *Event) { e.Body = []byte("{}") }, ReasonBadData},
		"a body that is too long for the bus": {func(e *Event) {
			e.Data, e.Body = &NodeLost{Reason: fleet.Reason(strings.Repeat("a", MaxBodyBytes))}, nil
		}, ReasonOversize},
	} {
		t.Run(why, func(t *testing.T) {
			e, _ := example(t, TypeNodeLost)
			c.change(e)
			_, err := Encode(DefaultSubjects(), e)
			wantRefusal(t, err, c.reason, "")
			_, err = e.CloudEvent()
			wantRefusal(t, err, c.reason, "")
		})
	}
}

func TestCheckSchemaRefuses(t *testing.T) {
	beat := `{"session":"s","lease_seconds":15,"key_fingerprint":"sha256:` + strings.Repeat("0", 64) + `"}`
	if err := CheckSchema(TypeNodeHeartbeat, []byte(beat)); err != nil {
		t.Fatal(err)
	}
	for why, c := range map[string]struct {
		typ    Type
		body   string
		reason fleet.Reason
		detail string
	}{
		"a type that nobody registered": {"node.found", beat, ReasonUnknownType, "node.found"},
		"what is not JSON":              {TypeNodeHeartbeat, "{", ReasonSchema, "not JSON"},
		"two objects":                   {TypeNodeHeartbeat, beat + beat, ReasonSchema, "not JSON"},
		"a lease of two hours":          {TypeNodeHeartbeat, strings.Replace(beat, "15", "7200", 1), ReasonSchema, "/lease_seconds"},
		"a fingerprint that is none":    {TypeNodeHeartbeat, strings.Replace(beat, "sha256:", "md5:", 1), ReasonSchema, "/key_fingerprint"},
		"an unknown field":              {TypeNodeHeartbeat, strings.Replace(beat, "{", `{"x":1,`, 1), ReasonSchema, "'x'"},
		"an empty session":              {TypeNodeHeartbeat, strings.Replace(beat, `"s"`, `""`, 1), ReasonSchema, "/session"},
		"a serial that is no hex":       {TypeCredentialProved, `{"epoch":1,"serial":"0A","nonce":"n"}`, ReasonSchema, "/serial"},
		"epoch 0":                       {TypeCredentialProved, `{"epoch":0,"serial":"0a","nonce":"n"}`, ReasonSchema, "/epoch"},
		"more than may be sent":         {TypeNodeHeartbeat, strings.Repeat(" ", MaxBodyBytes) + beat, ReasonOversize, "bytes"},
	} {
		t.Run(why, func(t *testing.T) {
			wantRefusal(t, CheckSchema(c.typ, []byte(c.body)), c.reason, c.detail)
		})
	}
}
