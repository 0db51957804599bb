import http from 'node:http';

/** An answer of the load balancer itself, told apart from the targets' by `Server: awselb/2.0`. */
export function ownAnswer(
  response: http.ServerResponse,
  status: number,
  { body, headers }: { readonly body: string; readonly headers: { readonly [name: string]: string } },
): void {
  response.writeHead(status, { Server: 'awselb/2.0', 'Content-Length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

export function errorPage(response: http.ServerResponse, status: number): void {
  ownAnswer(response, status, { body: page(status), headers: { 'Content-Type': 'text/html' } });
}

function page(status: number): string {
  const title = `${status} ${status === 503 ? 'Service Temporarily Unavailable' : status === 504 ? 'Gateway Time-out' : http.STATUS_CODES[status]}`;
  const lines = ['<html>', `<head><title>${title}</title></head>`, '<body>', `<center><h1>${title}</h1></center>`];
  return [...lines, '</body>', '</html>', ''].join('\r\n');
}
