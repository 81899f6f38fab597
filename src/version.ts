/** The version of this build: set by the bundler, from package.json. */
declare const BULLPEN_VERSION: string | undefined;

export const version: string = typeof BULLPEN_VERSION === 'string' ? BULLPEN_VERSION : '0.0.0-dev';
