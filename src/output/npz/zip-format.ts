/** Marks and sizes of the records of a zip file. Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3 (ZIP64). */

export const LOCAL_SIGNATURE = 0x04034b50;
export const CENTRAL_SIGNATURE = 0x02014b50;
export const END_SIGNATURE = 0x06054b50;
export const END64_SIGNATURE = 0x06064b50;
export const LOCATOR64_SIGNATURE = 0x07064b50;
/** Fields of 16 and 32 bits that are all ones say: look into the ZIP64 extra field. */
export const MAX16 = 0xffff;
export const MAX32 = 0xffffffff;
/** Tag of the ZIP64 extra field. */
export const ZIP64_TAG = 1;

export const END_BYTES = 22;
export const LOCATOR64_BYTES = 20;
export const END64_BYTES = 56;
export const CENTRAL_BYTES = 46;
export const LOCAL_BYTES = 30;
