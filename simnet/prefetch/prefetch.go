// Package prefetch asks the processor to read memory that will be needed soon. In a world of many nodes nearly every
// event touches a node and a task that no cache holds; a simulator knows them some events ahead. An ordinary read in
// advance would do too, but it stops the processor as soon as it has gone some hundred instructions further.
package prefetch
