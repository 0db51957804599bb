"""The parameters of AWS-RunShellScript, checked and read by the agent's rules."""

import json
import re

# AWS-RunShellScript's own pattern. The agent looks for it anywhere in the value: 5.9 passes, 0 and abc do not.
TIMEOUT_PATTERN = '([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)'
DEFAULT_TIMEOUT = 3_600
TIMEOUT_RANGE = (5, 172_800)
STORED_PARAMETER = re.compile(r'\{\{ *ssm:([/\w.:-]+) *\}\}', re.ASCII)
WORKING_DIRECTORY = '/usr/bin'


class InvalidDocument(Exception):
    """The document fails before any plugin runs; the text is the reply's trace."""


def stored_names(parameters):
    """The names in `{{ssm:NAME}}`, each once."""
    return list(dict.fromkeys(STORED_PARAMETER.findall(json.dumps(parameters))))


def checked(parameters, values):
    """The parameters with stored values put in. Raises InvalidDocument for an unknown name or a bad timeout."""
    unknown = [name for name in stored_names(parameters) if name not in values]
    if unknown:
        raise InvalidDocument(f'Input contains invalid parameters [{" ".join(unknown)}]')
    timeout = parameters.get('executionTimeout', str(DEFAULT_TIMEOUT))
    if not re.search(TIMEOUT_PATTERN, str(timeout)):
        raise InvalidDocument(
            "all errors during param validation errors: error thrown in 'AllowedRegexParamValidator' "
            f'while validating parameter /executionTimeout/: parameter value /{timeout}/ '
            f'does not match the allowed pattern /{TIMEOUT_PATTERN}/'
        )
    return substitute(parameters, values)


def substitute(value, values):
    if isinstance(value, str):
        return STORED_PARAMETER.sub(lambda match: values[match.group(1)], value)
    if isinstance(value, list):
        return [substitute(element, values) for element in value]
    if isinstance(value, dict):
        return {key: substitute(element, values) for key, element in value.items()}
    return value


def working_directory(wanted):
    return wanted if wanted.startswith('/') else WORKING_DIRECTORY


def timeout_seconds(wanted):
    """Below five seconds, above two days or no number: the default."""
    try:
        seconds = int(float(wanted))
    except (ValueError, OverflowError):
        return DEFAULT_TIMEOUT
    return seconds if TIMEOUT_RANGE[0] <= seconds <= TIMEOUT_RANGE[1] else DEFAULT_TIMEOUT


def unreadable(parameters):
    properties = {
        'id': '0.aws:runShellScript',
        'runCommand': parameters['commands'],
        'timeoutSeconds': parameters.get('executionTimeout', ''),
        'workingDirectory': parameters.get('workingDirectory', ''),
    }
    printed = ' '.join(f'{key}:{value}' for key, value in properties.items())
    return (
        f'Invalid format in plugin properties map[{printed}];\n'
        'error json: cannot unmarshal string into Go struct field RunScriptPluginInput.RunCommand of type []string'
    )
