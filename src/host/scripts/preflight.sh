#!/bin/bash
# preflight: has the host what a deploy needs? Changes nothing.

check_requirements
