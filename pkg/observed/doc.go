// Package observed reads an observed state that stands in a file, so that a
// plan can be made for a fleet without its log:
//
//	{"nodes": [{"id": "node-1", "present": true, "can_sign": false}], "strict_enforced": false}
//
// What it promises:
//
//   - Strict. Every key is required, spelled exactly and given once; an unknown
//     key, null, a value of another type, an illegal id, an id given twice and
//     anything behind the object are errors. A misspelt can_sign never becomes false.
//   - All at once. [Parse] reports every problem it can see, each with its path
//     and its line, in the order of the lines. Only text that is no JSON hides
//     what lies behind it.
//   - All or nothing. The state is nil exactly when there is an error.
//   - Order is kept: the nodes stand as in the file, and so do decommissions in
//     the plan.
//   - Total and pure. Any bytes give an answer in time linear in their number,
//     and the same bytes the same answer.
//
// The caller owes nothing but to look at the error first.
package observed
