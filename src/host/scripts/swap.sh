#!/bin/bash
# swap: the slot runs the release. Short of a crash in the middle, it can be run any number of times.

up_slot "$release"
